/** One delivery, as qmail-local does it: loop check, `.qmail`, its lines in order, forwards at the end.
 *  Knows:  order, texts, counts. Never: changes anything of the process (working directory, umask, environment): many
 *          deliveries run at once.
 *  Fails:  a status with qmail-local's text; what was done before the failure stays done. */
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import { assertNever } from '../../base/assert.ts'
import { type Failure, type Outcome, permanent, plainFailure, type Status } from '../../base/outcome.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import type { Assignment } from '../../contracts/assign.ts'
import { type Params, quarantineParam } from '../../contracts/envelope.ts'
import { after, delivered, printed } from '../../protocols/qmail/delivery-status.ts'
import {
  didLine,
  forwardSender,
  type Instruction,
  mayHaveOwner,
  parseDotQmail,
  searchDotQmail,
  type Tally,
} from '../../protocols/qmail/dot-qmail.ts'
import { type DeliveryLines, deliveryLines, localEnvironment } from '../../protocols/qmail/local-environment.ts'
import { headerHasLine } from '../../protocols/qmail/loop-check.ts'
import { findInstructions } from '../../stores/dot-qmail/instructions.ts'
import { findOwner, isFailure } from '../../stores/dot-qmail/home-files.ts'
import type { Maildirs } from '../../stores/maildir/maildir.ts'
import type { Mboxes } from '../../stores/mbox/mbox.ts'
import type { QuickFiles } from '../../system/quick-files.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { forward } from './forward.ts'
import { type ProgramTools, runProgram } from './run-program.ts'

export interface DeliveryTools extends ProgramTools {
  readonly files: QuickFiles
  readonly maildirs: Maildirs
  readonly mboxes: Mboxes
  /** Who takes forwards; the variables are for a program that stands in for the queue. */
  readonly enqueuerFor: (environment: ReadonlyMap<string, ByteString>) => Enqueuer
}

export interface DeliveryRequest {
  readonly assignment: Assignment
  readonly sender: ByteString
  readonly params: Params
  readonly content: StoredBytes
}

/** A folder of a Maildir (Maildir++), as mail programs name it. */
const junkFolder = '.Junk/'
const looping = printed(permanent('4.6', 'This message is looping: it already has my Delivered-To line.'))

/** The home has been checked (`checkHome`). */
export async function deliver(tools: DeliveryTools, request: DeliveryRequest): Promise<Status> {
  const { assignment, sender, content } = request
  const lines = deliveryLines(assignment, sender, tools.clock.now())
  if (headerHasLine(content.chunks(), lines.deliveredTo)) return looping
  const search = searchDotQmail(assignment.dash, assignment.ext)
  const found = findInstructions(tools.files, assignment, search)
  if (isFailure(found)) return found
  const owner = mayHaveOwner(sender) ? findOwner(tools.files, assignment.home, search) : 'none'
  if (isFailure(owner)) return owner
  const newSender = forwardSender(sender, assignment.local, assignment.domain, owner)
  const environment = localEnvironment(assignment, sender, newSender, lines, found.default)
  const run = new DeliveryRun(tools, request, lines, newSender, environment)
  return run.run(parseDotQmail(found.text, found.forwardOnly))
}

class DeliveryRun {
  private readonly tools: DeliveryTools
  private readonly request: DeliveryRequest
  private readonly lines: DeliveryLines
  private readonly newSender: ByteString
  private readonly environment: ReadonlyMap<string, ByteString>
  private readonly tally: Tally = { files: 0, forwards: 0, programs: 0 }
  private readonly forwards: ByteString[] = []
  private output = ''

  constructor(
    tools: DeliveryTools,
    request: DeliveryRequest,
    lines: DeliveryLines,
    newSender: ByteString,
    environment: ReadonlyMap<string, ByteString>,
  ) {
    this.tools = tools
    this.request = request
    this.lines = lines
    this.newSender = newSender
    this.environment = environment
  }

  async run(instructions: readonly Instruction[]): Promise<Status> {
    for (const instruction of instructions) {
      const step = await this.execute(instruction)
      if (step === 'last') break
      if (step !== 'next') return after(this.output, step)
    }
    const qp = await this.sendForwards()
    if (isFailure(qp)) return after(this.output, qp)
    return delivered(this.output + didLine(this.tally) + qp)
  }

  private async execute(instruction: Instruction): Promise<'next' | 'last' | Failure> {
    switch (instruction.kind) {
      case 'refuse':
        return printed(instruction.failure)
      case 'maildir':
        this.tally.files++
        return this.stepOf(await this.toMaildir(instruction.path))
      case 'mbox':
        this.tally.files++
        return this.stepOf(await this.toMbox(instruction.path))
      case 'program':
        this.tally.programs++
        return this.runProgram(instruction.command)
      case 'forward':
        this.tally.forwards++
        this.forwards.push(instruction.address)
        return 'next'
      default:
        return assertNever(instruction)
    }
  }

  private toMaildir(path: ByteString): Promise<Outcome<void>> {
    const head = toBuffer(this.lines.returnPath + this.lines.deliveredTo)
    return this.tools.maildirs.deliver(this.placeIn(this.absolute(path)), head, this.request.content)
  }

  /** What is suspect goes into the folder for that, where the owner has made one. */
  private placeIn(maildir: ByteString): ByteString {
    if (!this.request.params.has(quarantineParam)) return maildir
    const folder = `${maildir}${junkFolder}`
    try {
      return this.tools.files.facts(`${folder}new`)?.isDirectory() === true ? folder : maildir
    } catch {
      // It is there, and cannot be looked into: the delivery will say so, and is tried again.
      return folder
    }
  }

  private toMbox(path: ByteString): Promise<Outcome<void>> {
    const head = toBuffer(this.lines.from + this.lines.returnPath + this.lines.deliveredTo)
    const { content } = this.request
    return this.tools.mboxes.deliver({ shownPath: path, path: this.absolute(path), head, content })
  }

  private async runProgram(command: ByteString): Promise<'next' | 'last' | Failure> {
    const { assignment, content } = this.request
    const { verdict, output } = await runProgram(this.tools, command, assignment.home, this.environment, content)
    if (verdict === 'fail' || verdict === 'defer') return plainFailure(verdict === 'fail' ? 5 : 4, '3.0', output, '')
    this.output += output
    return verdict === 'stop' ? 'last' : 'next'
  }

  /** The `qp` line, empty if there was nothing to forward. */
  private async sendForwards(): Promise<ByteString | Failure> {
    if (this.forwards.length === 0) return ''
    const envelope = { sender: this.newSender, recipients: this.forwards }
    const enqueuer = this.tools.enqueuerFor(this.environment)
    const { params, content } = this.request
    const taken = await forward(enqueuer, envelope, params, this.lines.deliveredTo, content)
    if (taken.done) return `qp ${taken.value}\n`
    this.logFailure(taken.failure)
    return printed({ ...taken.failure, peerText: `Unable to forward message: ${taken.failure.peerText}.` })
  }

  private stepOf(outcome: Outcome<void>): 'next' | Failure {
    if (outcome.done) return 'next'
    this.logFailure(outcome.failure)
    return printed(outcome.failure)
  }

  private logFailure(failure: Failure): void {
    this.tools.log(`delivery to ${this.request.assignment.local}: ${failure.logText}`)
  }

  private absolute(path: ByteString): ByteString {
    return path.startsWith('/') ? path : `${this.request.assignment.home}/${path}`
  }
}
