/** A `local`'s side of the deliver contract: takes attempts, answers each with a status, retires when idle.
 *  Knows:  refs, how many run, when to leave. Never: how a delivery is done.
 *  Fails:  a delivery that throws is a bug: it is logged, its message deferred, and the others go on. */
import { closeSync } from 'node:fs'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import type { Failure, Status } from '../../base/outcome.ts'
import type { Assignment } from '../../contracts/assign.ts'
import { type Attempt, decodeToDeliverer, encodeFromDeliverer, type FromDeliverer } from '../../contracts/deliver.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { crashed, lspawnStatuses, toldByLspawn } from '../../protocols/qmail/delivery-status.ts'
import type { Clock } from '../../system/clock.ts'
import type { PassedDescriptor } from '../../system/descriptor-passing.ts'
import type { Log } from '../../system/log.ts'
import { storedInMemory, type StoredBytes } from '../../system/spool.ts'
import type { Assignments } from './assignments.ts'
import { type ContentRoom, type FetchedContent, IncomingContent } from './content.ts'

export const attemptsMax = 50
const idleMillisecondsMax = 60_000

export interface AttemptMachine {
  readonly clock: Clock
  readonly log: Log
  readonly room: ContentRoom
  readonly assignments: Assignments
  send(frame: Uint8Array): void
  /** Undefined: the process is given none. The next one that came. */
  receiveDescriptor?: (() => PassedDescriptor | undefined) | undefined
  /** Undefined: the home can take mail now. */
  checkHome(assignment: Assignment): Failure | undefined
  deliver(assignment: Assignment, attempt: Attempt, content: StoredBytes): Promise<Status>
}

export class Attempts {
  /** Resolves when the queue sends no more attempts and all that came are reported. */
  readonly finished: Promise<void>
  private readonly machine: AttemptMachine
  private readonly fetching = new Map<number, IncomingContent>()
  private running = 0
  private state: 'serving' | 'retiring' | 'retired' = 'serving'
  /** Nothing keeps it any more: the process ends. */
  private isEnding = false
  /** Others need the room: it does not wait for work. */
  private isAsked = false
  private finish: () => void = () => undefined
  private cancelIdle: () => void = () => undefined

  constructor(machine: AttemptMachine) {
    this.machine = machine
    this.finished = new Promise((resolve) => {
      this.finish = resolve
    })
  }

  begin(): void {
    this.send({ kind: 'ready', capacity: attemptsMax })
    this.settleDown()
  }

  onFrame(frame: Frame): void {
    const message = decodeToDeliverer(frame)
    if (message === undefined || message.kind === 'resolve')
      throw new ContractError(`unexpected frame type ${frame.type}`)
    switch (message.kind) {
      case 'attempt':
        void this.attempt(message)
        break
      case 'content':
        this.fetching.get(message.ref)?.append(message.bytes)
        break
      case 'contentEnd':
        this.fetching.get(message.ref)?.complete()
        break
      case 'contentFailed':
        this.fetching.get(message.ref)?.fail('the queue could not read it')
        break
      case 'contentFile':
        this.takeFile(message.ref, message.head)
        break
      case 'retired':
        // A session or an attempt came while the queue was being told. It is the only process of its uid.
        if (this.running > 0 && !this.isEnding) this.serveAgain()
        else this.leave()
        break
    }
  }

  /** Something else than an attempt keeps the process here until the returned function is called, once. */
  hold(): () => void {
    this.cancelIdle()
    this.running++
    return () => {
      this.running--
      this.settleDown()
    }
  }

  /** The process is to end: asks the queue for no more attempts. */
  retire(): void {
    this.isEnding = true
    this.askToRetire()
  }

  /** The same as soon as there is nothing to do. */
  retireWhenIdle(): void {
    this.isAsked = true
    if (this.running === 0) this.askToRetire()
  }

  /** Somebody needs it after all. */
  stay(): void {
    this.isAsked = false
  }

  /** The queue is gone: nothing more comes, and nobody hears a report. */
  connectionClosed(): void {
    for (const content of this.fetching.values()) content.fail('the connection closed')
    this.leave()
  }

  private askToRetire(): void {
    if (this.state !== 'serving') return
    this.state = 'retiring'
    this.cancelIdle()
    this.send({ kind: 'retire' })
  }

  private serveAgain(): void {
    this.state = 'serving'
    this.send({ kind: 'ready', capacity: attemptsMax })
  }

  private leave(): void {
    this.state = 'retired'
    this.cancelIdle()
    if (this.running === 0) this.finish()
  }

  private async attempt(attempt: Attempt): Promise<void> {
    this.cancelIdle()
    this.running++
    let status: Status
    try {
      status = await this.statusOf(attempt)
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.machine.log(`alert: bug: ${text.replaceAll('\n', ' | ')}`)
      status = crashed('local')
    }
    this.running--
    this.send({ kind: 'report', ref: attempt.ref, statuses: attempt.recipients.map(() => status) })
    this.settleDown()
  }

  private async statusOf(attempt: Attempt): Promise<Status> {
    // The frame's bytes are a view into a larger buffer that must not be kept.
    const inline = attempt.content === undefined ? undefined : storedInMemory([Buffer.from(attempt.content)])
    const found = this.machine.assignments.find(attempt.key)
    const assignment = found instanceof Promise ? await found : found
    if (assignment === undefined) return lspawnStatuses.bug
    const refusal = this.machine.checkHome(assignment)
    if (refusal !== undefined) return toldByLspawn(refusal)
    if (inline !== undefined) return toldByLspawn(await this.machine.deliver(assignment, attempt, inline))
    const content = await this.fetch(attempt)
    if (content === undefined) return lspawnStatuses.noContent
    try {
      return toldByLspawn(await this.machine.deliver(assignment, attempt, content))
    } finally {
      content.release()
    }
  }

  private async fetch(attempt: Attempt): Promise<FetchedContent | undefined> {
    const content = new IncomingContent(this.machine.room, attempt.contentBytes)
    this.fetching.set(attempt.ref, content)
    const asFile = this.machine.receiveDescriptor !== undefined
    this.send({ kind: 'fetch', ref: attempt.ref, messageId: attempt.messageId, token: attempt.token, asFile })
    try {
      return await content.arrived
    } finally {
      this.fetching.delete(attempt.ref)
    }
  }

  private takeFile(ref: number, head: ByteString): void {
    const passed = this.machine.receiveDescriptor?.()
    const content = this.fetching.get(ref)
    if (passed?.tag === ref && content !== undefined) return content.file(toBuffer(head), passed.fd)
    if (passed !== undefined) closeSync(passed.fd)
    content?.fail('its file did not come')
  }

  private settleDown(): void {
    if (this.running > 0) return
    if (this.state === 'retired') this.finish()
    else if (this.state === 'serving' && this.isAsked) this.askToRetire()
    else if (this.state === 'serving')
      this.cancelIdle = this.machine.clock.after(idleMillisecondsMax, () => this.askToRetire())
  }

  private send(message: FromDeliverer): void {
    this.machine.send(encodeFromDeliverer(message))
  }
}
