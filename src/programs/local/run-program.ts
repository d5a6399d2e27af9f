/** One `|command` of a `.qmail` file: `/bin/sh -c command` in the user's home, with the message on a descriptor 0 of
 *  its own that can be rewound (qmail-command(8)).
 *  Knows:  what goes where. Never: puts a byte of an address into a command: addresses are variables.
 *  Fails:  qmail-local's texts. */
import { type ByteString, fromBuffer, fromText, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { outputBytesOfInterest } from '../../protocols/qmail/delivery-status.ts'
import { programCrashedText, programVerdict, type ProgramVerdict } from '../../protocols/qmail/program-exit.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { Log } from '../../system/log.ts'
import type { Random } from '../../system/random.ts'
import { nextTurn, Spool, type StoredBytes } from '../../system/spool.ts'
import { type WatchedEnd, WatchedProcess } from '../../system/watched-process.ts'

const shell = '/bin/sh'
/** qmail sets no limit. A program that hangs is ended a day later, with all it started, and the mail deferred. */
const programMillisecondsMax = 86_400_000
const bytesAtOnce: number = 1024 * 1024

export interface ProgramTools {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** What the variables of the delivery are added to. */
  readonly baseEnvironment: Readonly<Record<string, string>>
}

export interface ProgramResult {
  readonly verdict: ProgramVerdict
  readonly output: ByteString
}

export async function runProgram(
  tools: ProgramTools,
  command: ByteString,
  home: ByteString,
  environment: ReadonlyMap<string, ByteString>,
  content: StoredBytes,
): Promise<ProgramResult> {
  let message: Spool | undefined
  try {
    message = new Spool(tools.random)
    await copy(content, message)
    const output = new Output()
    const program = await WatchedProcess.start(tools.clock, {
      file: shell,
      args: ['-c', command],
      cwd: toText(home),
      environment: new Map([...baseEnvironment(tools), ...environment]),
      descriptors: [message.fd, output.take, output.take],
      millisecondsMax: programMillisecondsMax,
    })
    return verdictOf(await program.ended, output.text())
  } catch (error) {
    tools.log(`cannot run a program: ${describeError(error)}`)
    return { verdict: 'defer', output: troubleText(error) }
  } finally {
    message?.close()
  }
}

function baseEnvironment(tools: ProgramTools): [string, ByteString][] {
  return Object.entries(tools.baseEnvironment).map(([name, value]) => [name, fromText(value)])
}

/** What a program says on descriptors 1 and 2. Beyond what a report can show it is read and dropped. */
class Output {
  private readonly chunks: Buffer[] = []
  private kept = 0

  readonly take = (bytes: Buffer): void => {
    const part = bytes.subarray(0, outputBytesOfInterest - this.kept)
    this.kept += part.length
    if (part.length > 0) this.chunks.push(part)
  }

  text(): ByteString {
    return fromBuffer(Buffer.concat(this.chunks))
  }
}

function verdictOf(end: WatchedEnd, output: ByteString): ProgramResult {
  if (end.exitCode === undefined) return { verdict: 'defer', output: output + programCrashedText }
  return { verdict: programVerdict(end.exitCode), output }
}

function troubleText(error: unknown): ByteString {
  const code = errorCode(error)
  const isSpawn = error instanceof Error && 'syscall' in error && String(error.syscall).startsWith('spawn')
  if (!isSpawn) return 'Unable to rewind message. (#4.3.0)\n'
  const attempted = code === 'EAGAIN' || code === 'ENOMEM' ? 'fork' : `run ${shell}`
  return `Unable to ${attempted}: ${errnoText(code)}. (#4.3.0)\n`
}

async function copy(content: StoredBytes, spool: Spool): Promise<void> {
  let sinceTurn = 0
  for (const chunk of content.chunks()) {
    spool.append(chunk)
    sinceTurn += chunk.length
    if (sinceTurn > bytesAtOnce) {
      sinceTurn = 0
      await nextTurn()
    }
  }
}
