/** Gives messages to the program that QMAILQUEUE names, through qmail-queue's interface: descriptor 0 is the message,
 *  1 the envelope, 6 (or 4) takes a custom error. The program reads the head first, so it is started when the message is
 *  closed; until then the body is kept in memory or, if it is large, in a temporary file.
 *  Knows:  how to run it: no shell, no arguments, no search in PATH, the working directory is the home.
 *  Never:  runs two messages through one process. What it is given on 0, 1, 4 and 6 are stream sockets, not pipes, because
 *          that is what Node makes: a program reads and writes them alike, but cannot open them again by /dev/fd.
 *  Fails:  with qmail-queue's texts; a program that takes too long is killed, and may have queued or not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { assert } from '../../base/assert.ts'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { describeError, done, type Failure, failed, type Outcome } from '../../base/outcome.ts'
import { encodeEnvelope, type Envelope, type Params } from '../../contracts/envelope.ts'
import {
  customErrorBytesMax,
  customErrorFds,
  homeTrouble,
  programTimeout,
  queueExitFailure,
  unableToExec,
} from '../../protocols/qmail/queue-exit.ts'
import type { Clock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import type { StoredBytes } from '../../system/spool.ts'
import { gatheringSink } from './gathering-sink.ts'
import type { ContentSink, Enqueuer } from './enqueuer.ts'

/** From the end of the content: a filter may take minutes, and an SMTP client waits ten (RFC 5321 §4.5.3.2.6). */
const answerMillisecondsMax = 600_000

export type Environment = Readonly<Record<string, string | undefined>>

export class ProgramEnqueuer implements Enqueuer {
  private readonly program: string
  private readonly home: string
  private readonly env: Environment
  private readonly clock: Clock
  private readonly limitMilliseconds: number

  /** `program` is the value of QMAILQUEUE, even if empty; a relative path is relative to `home`.
   *  `env` is added to the whole environment of this process; undefined takes a variable away. */
  constructor(
    program: string,
    home: string,
    env: Environment,
    clock: Clock,
    limitMilliseconds: number = answerMillisecondsMax,
  ) {
    this.program = program
    this.home = home
    this.env = env
    this.clock = clock
    this.limitMilliseconds = limitMilliseconds
  }

  /** Extension parameters have no place in qmail-queue's interface: they end here. */
  open(envelope: Envelope, _params: Params): ContentSink {
    return gatheringSink(realRandom, 'QMAILQUEUE', (head, _late, body) => this.run(envelope, head, body))
  }

  private async run(envelope: Envelope, head: ByteString, body: StoredBytes): Promise<Outcome<number>> {
    const started = await this.start()
    if (!started.done) return started
    const run = new ProgramRun(started.value, envelope, this.clock, this.limitMilliseconds)
    await run.write(toBuffer(head))
    for (const bytes of body.chunks()) await run.write(bytes)
    return await run.end()
  }

  private async start(): Promise<Outcome<ChildProcess>> {
    if (this.program === '') return failed({ ...unableToExec, logText: 'QMAILQUEUE is set and empty' })
    try {
      const child = spawn(resolvePath(this.home, this.program), [], {
        argv0: this.program,
        cwd: this.home,
        env: { ...process.env, ...this.env },
        stdio: ['pipe', 'pipe', 'inherit', 'ignore', 'pipe', 'ignore', 'pipe'],
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
      return done(child)
    } catch (error) {
      return failed(this.startFailure(error))
    }
  }

  /** Node does not tell the two failures apart: qmail's child would have exited 61 or 120. */
  private startFailure(error: unknown): Failure {
    try {
      accessSync(this.home, constants.X_OK)
    } catch (trouble) {
      return { ...homeTrouble, logText: `cannot enter ${this.home}: ${describeError(trouble)}` }
    }
    return { ...unableToExec, logText: `cannot run QMAILQUEUE ${this.program}: ${describeError(error)}` }
  }
}

/** One process, one message. */
class ProgramRun {
  private readonly child: ChildProcess
  private readonly envelope: Envelope
  private readonly message: Writable
  private readonly envelopeStream: Writable
  private readonly clock: Clock
  private readonly limitMilliseconds: number
  private readonly ended: Promise<number | undefined>
  /** What came on each of `customErrorFds`. */
  private readonly customErrors: Buffer[] = customErrorFds.map(() => Buffer.alloc(0))
  private writeFailed = false

  constructor(child: ChildProcess, envelope: Envelope, clock: Clock, limitMilliseconds: number) {
    this.child = child
    this.envelope = envelope
    this.clock = clock
    this.limitMilliseconds = limitMilliseconds
    this.message = writable(child, 0)
    this.envelopeStream = writable(child, 1)
    for (const stream of [this.message, this.envelopeStream]) stream.on('error', () => (this.writeFailed = true))
    // 'close' comes after the exit and after end of file on the others: nothing of a custom error is missed.
    this.ended = new Promise((resolve) => {
      child.once('close', (code: number | null) => resolve(code ?? undefined))
    })
    for (const [at, fd] of customErrorFds.entries()) this.collectCustomError(at, descriptor(child, fd))
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.writeFailed || this.message.write(bytes)) return
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        for (const event of ['drain', 'error', 'close']) this.message.off(event, settle)
        cancel()
        resolve()
      }
      const cancel = this.clock.after(this.limitMilliseconds, () => {
        this.writeFailed = true
        this.child.kill('SIGKILL')
        settle()
      })
      for (const event of ['drain', 'error', 'close']) this.message.once(event, settle)
    })
  }

  async end(): Promise<Outcome<number>> {
    this.message.end()
    this.envelopeStream.end(encodeEnvelope(this.envelope))
    const code = await this.wait()
    if (code === 'timeout')
      return failed({ ...programTimeout, logText: `QMAILQUEUE took over ${this.limitMilliseconds} ms` })
    const customError = fromBuffer(this.customErrors.find(({ length }) => length > 0) ?? Buffer.alloc(0))
    const failure = queueExitFailure({ code, customError, writeFailed: this.writeFailed })
    return failure === undefined ? done(this.child.pid ?? 0) : failed(failure)
  }

  private async wait(): Promise<number | undefined | 'timeout'> {
    let cancel: () => void = () => undefined
    const timeout = new Promise<'timeout'>((resolve) => {
      cancel = this.clock.after(this.limitMilliseconds, () => {
        this.child.kill('SIGKILL')
        // A grandchild may hold a descriptor open for ever.
        for (const stream of this.child.stdio) stream?.destroy()
        resolve('timeout')
      })
    })
    try {
      return await Promise.race([this.ended, timeout])
    } finally {
      cancel()
    }
  }

  private collectCustomError(at: number, stream: unknown): void {
    assert(stream instanceof Readable, 'a custom error of QMAILQUEUE is readable')
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => {
      const before = this.customErrors[at] ?? Buffer.alloc(0)
      if (before.length >= customErrorBytesMax) return
      this.customErrors[at] = Buffer.concat([before, chunk]).subarray(0, customErrorBytesMax)
    })
  }
}

/** Node makes every `pipe` descriptor readable and writable; its types know of five, and of 0 alone as writable. */
function descriptor(child: ChildProcess, fd: number): unknown {
  return (child.stdio as readonly unknown[])[fd]
}

function writable(child: ChildProcess, fd: 0 | 1): Writable {
  const stream = descriptor(child, fd)
  assert(stream instanceof Writable, `descriptor ${fd} of QMAILQUEUE is writable`)
  return stream
}
