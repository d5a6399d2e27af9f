/** What the command line may ask the queue: one request a connection (contract `admin`). */
import { fromBuffer } from '../../base/byte-string.ts'
import { codeOf } from '../../base/outcome.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { answerAdmin, readOperation } from '../../system/admin-server.ts'
import type { FrameConnection } from '../../system/frame-connection.ts'
import type { Channel, MessageChange, QueuedMessage, QueueStore } from '../../stores/queue/contract.ts'
import { schedulingChanges } from '../../stores/queue/change.ts'
import type { QueueSnapshot } from '../../stores/queue/snapshot.ts'
import type { ContentSource } from './content-source.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { QueueClock } from './queue-clock.ts'

const listMax = 10_000
const pageMax = 500
const progressMilliseconds = 500
const shownContentBytesMax: number = 64 * 1024

export interface AdminPorts {
  readonly store: QueueStore
  readonly source: ContentSource
  readonly dispatcher: Dispatcher
  readonly clock: QueueClock
  readonly log: DeliveryLog
  /** What is stored cannot be trusted: this process ends, and the next one looks into it. */
  readonly distrust: (why: string) => void
  /** Makes a copy of the store, for a backup. */
  readonly takeSnapshot: (onPages: (left: number, of: number) => void) => Promise<QueueSnapshot>
}

/** Who asks, by the socket: one that may do everything, one that may see the queue, or a user (a uid, as the kernel says),
 *  who may see what they handed in. */
export type Asker = 'administrator' | 'reader' | number

function maySee(asker: Asker, { uid }: QueuedMessage): boolean {
  return typeof asker !== 'number' || asker === 0 || asker === uid
}

interface Request {
  readonly op: string
  readonly id: number | undefined
  readonly all: boolean
  readonly limit: number
  readonly after: number
}

export class Admin {
  private readonly ports: AdminPorts

  constructor(ports: AdminPorts) {
    this.ports = ports
  }

  handle(connection: FrameConnection, frame: Frame, asker: Asker): Promise<void> {
    return answerAdmin(connection, frame, (value) => {
      const request = readRequest(value)
      if (asker !== 'administrator' && request.op !== 'list') throw new ContractError('only list is answered here')
      return this.rows(request, asker)
    })
  }

  private async *rows(request: Request, asker: Asker): AsyncGenerator<object> {
    const { store, dispatcher } = this.ports
    switch (request.op) {
      case 'list':
        yield* this.list(request.after, Math.min(request.limit, listMax), asker)
        break
      case 'show':
        yield await this.show(this.idOf(request))
        break
      case 'retry':
        yield await this.retry(request)
        break
      case 'hold':
      case 'release':
        if (request.all && request.op === 'release') yield await this.releaseAll()
        else yield await this.hold(this.idOf(request), request.op === 'hold')
        break
      case 'delete':
        yield await this.delete(this.idOf(request))
        break
      case 'schedule':
        yield await this.schedule(this.idOf(request))
        break
      case 'distrust':
        yield { ending: true }
        this.ports.distrust('quaver doctor has found damage')
        break
      case 'snapshot':
        yield* this.snapshot()
        break
      case 'counts':
        yield {
          ...(await store.counts()),
          deliveringLocal: dispatcher.running('local'),
          deliveringRemote: dispatcher.running('remote'),
        }
        break
      default:
        throw new Error(`unknown operation ${JSON.stringify(request.op)}`)
    }
  }

  private async *list(after: number, limit: number, asker: Asker): AsyncGenerator<object> {
    let last = after
    let left = limit
    while (left > 0) {
      const page = await this.ports.store.list(last, Math.min(left, pageMax))
      for (const message of page) {
        if (left === 0 || !maySee(asker, message)) continue
        yield this.row(message)
        left--
      }
      const end = page.at(-1)
      if (end === undefined) return
      last = end.id
    }
  }

  /** How far it is, now and then, and at last what is in it. */
  private async *snapshot(): AsyncGenerator<object> {
    let pages = { left: 0, of: 0 }
    const taking = this.ports.takeSnapshot((left, of) => (pages = { left, of }))
    // Who asks hears its failure; this is for the time before.
    taking.catch(() => undefined)
    for (;;) {
      const taken = await Promise.race([taking, this.pause(progressMilliseconds)])
      yield taken === undefined ? pages : { ...taken, done: true }
      if (taken !== undefined) return
    }
  }

  private pause(milliseconds: number): Promise<undefined> {
    return new Promise((resolve) => this.ports.clock.after(milliseconds, () => resolve(undefined)))
  }

  private async show(id: number): Promise<object> {
    const message = await this.find(id)
    const content = await this.ports.source.beginningOf(id, shownContentBytesMax)
    return { ...this.row(message), content: fromBuffer(content).length > 0 ? content.toString('base64') : '' }
  }

  private async retry(request: Request): Promise<object> {
    const { store, dispatcher, clock } = this.ports
    const id = request.all ? undefined : this.idOf(request)
    if (id !== undefined) await this.find(id)
    // First what is in memory: what is brought in afterwards is found on disk, due now.
    const pending = id !== undefined && dispatcher.hurry(id)
    await store.commit([{ kind: 'hurry', id, atMs: clock.now() }])
    const { waitingLocal, waitingRemote } = await store.counts()
    dispatcher.lookAgain()
    return id === undefined ? { retried: 'all', recipients: waitingLocal + waitingRemote } : { retried: id, pending }
  }

  /** A held message is not attempted; what was begun goes on. One that is released is tried at once. */
  private async hold(id: number, held: boolean): Promise<object> {
    const { store, dispatcher, clock, log } = this.ports
    await this.find(id)
    const changes: MessageChange[] = held ? [{ kind: 'hold', id, held }] : releasing(id, clock.now())
    await store.commit(changes)
    dispatcher.changed(id, changes)
    log.warning(`msg ${id} ${held ? 'held' : 'released'} by an administrator`)
    return held ? { held: id, pending: dispatcher.isBusyWith(id) } : { released: id }
  }

  private async releaseAll(): Promise<object> {
    const { store, dispatcher, clock, log } = this.ports
    let released = 0
    for (let page = await store.list(0, pageMax); page.length > 0; ) {
      const atMs = clock.now()
      const held = page.filter((message) => message.held)
      const changes = held.map(({ id }) => ({ id, changes: releasing(id, atMs) }))
      if (held.length > 0) await store.commit(changes.flatMap((one) => one.changes))
      for (const one of changes) dispatcher.changed(one.id, one.changes)
      released += held.length
      page = await store.list(page.at(-1)?.id ?? Number.MAX_SAFE_INTEGER, pageMax)
    }
    log.warning(`${released} messages released by an administrator`)
    return { released }
  }

  /** Of a message about which nothing would be done, though something is to be done. */
  private async schedule(id: number): Promise<object> {
    const { store, dispatcher, clock, log } = this.ports
    const changes = dispatcher.isBusyWith(id) ? [] : schedulingChanges(await this.find(id), clock.now())
    if (changes.length === 0) return { scheduled: id, changed: false }
    await store.commit(changes)
    dispatcher.changed(id, changes)
    log.warning(`msg ${id} was due at no time, and is due now`)
    return { scheduled: id, changed: true }
  }

  private async delete(id: number): Promise<object> {
    const { store, dispatcher, log } = this.ports
    await this.find(id)
    await store.commit([{ kind: 'remove', id }])
    // An attempt that runs may still deliver it; nothing comes after that, not even if we are killed meanwhile.
    const live = dispatcher.lives.get(id)
    if (live !== undefined) live.deleted = true
    log.warning(`msg ${id} deleted by an administrator`)
    return { deleted: id, pending: live !== undefined }
  }

  private async find(id: number): Promise<QueuedMessage> {
    const message = (await this.ports.store.load([id]))[0]
    if (message === undefined) throw new Error(`no message ${id} in the queue`)
    return message
  }

  private idOf(request: Request): number {
    if (request.id === undefined) throw new Error('which message? An id is needed')
    return request.id
  }

  private row(message: QueuedMessage): object {
    const delivering = this.ports.dispatcher.isBusyWith(message.id)
    const shown = (ms: number): number => this.ports.clock.toMachine(ms)
    const nextMs = (channel: Channel): number | undefined => {
      const due = message.due[channel]
      return due === undefined ? undefined : shown(due)
    }
    return {
      id: message.id,
      bytes: message.bytes,
      sender: message.sender,
      bornMs: shown(message.bornMs),
      uid: message.uid,
      params: Object.fromEntries(message.params),
      held: message.held,
      delivering,
      recipients: message.recipients.map((recipient) => ({
        address: recipient.address,
        original: recipient.original,
        params: Object.fromEntries(recipient.params),
        channel: recipient.channel,
        state: recipient.state,
        lastStatus: recipient.last && codeOf(recipient.last),
        lastText: recipient.last?.peerText ?? '',
        lastDetail: recipient.last?.logText ?? '',
        lastAnswer: recipient.last?.answer,
        // 0 says that there was none.
        lastMs: recipient.lastMs === 0 ? 0 : shown(recipient.lastMs),
        nextMs: recipient.state === 'waiting' ? nextMs(recipient.channel) : undefined,
      })),
    }
  }
}

function releasing(id: number, atMs: number): MessageChange[] {
  return [
    { kind: 'hold', id, held: false },
    { kind: 'hurry', id, atMs },
  ]
}

function readRequest(value: unknown): Request {
  const { op, field } = readOperation(value)
  const whole = (name: string, fallback: number): number => {
    const found = field(name)
    return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0 ? found : fallback
  }
  const id = whole('id', -1)
  return {
    op,
    id: id < 0 ? undefined : id,
    all: field('all') === true,
    limit: whole('limit', 1000),
    after: whole('after', 0),
  }
}
