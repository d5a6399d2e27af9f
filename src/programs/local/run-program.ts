/** One `|command` of a `.qmail` file: `/bin/sh -c command` in the user's home, with the message on a descriptor 0 of
 *  its own that can be rewound (qmail-command(8)).
 *  Knows:  what goes where. Never: puts a byte of an address into a command: addresses are variables.
 *  Fails:  qmail-local's texts. */
import { type ByteString, fromBuffer, fromText, toBuffer, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { outputBytesOfInterest } from '../../protocols/qmail/delivery-status.ts'
import { programCrashedText, programVerdict, type ProgramVerdict } from '../../protocols/qmail/program-exit.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { Log } from '../../system/log.ts'
import { type ProgramEnd, run } from '../../system/processes.ts'
import type { Random } from '../../system/random.ts'
import { nextTurn, Spool, type StoredBytes } from '../../system/spool.ts'

const shell = '/bin/sh'
/** qmail sets no limit. A program that hangs is ended a day later, with all it started, and the mail deferred. */
const programMillisecondsMax = 86_400_000
const bytesAtOnce: number = 1024 * 1024
/** A shell's, for a program that it does not find. */
const notFoundCode = 127
const hasNone = 'install it, or do without'
/** What `.qmail` files of qmail sites call, and what does the same here. */
const qmailsOwn: ReadonlyMap<ByteString, string> = new Map([
  ['forward', 'write the address on a line of its own, behind &'],
  ['qmail-inject', "hand the message to bin/qmail-queue of the home, or run 'quaver send'"],
  ...['bouncesaying', 'condredirect', 'except', 'preline'].map((name) => [name, hasNone] as const),
])

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
  const spools: Spool[] = []
  const spool = (): Spool => {
    const made = new Spool(tools.random)
    spools.push(made)
    return made
  }
  try {
    const message = spool()
    await copy(content, message)
    return verdictOf(await start(tools, command, home, environment, message, spool), command)
  } catch (error) {
    tools.log(`cannot run a program: ${describeError(error)}`)
    return { verdict: 'defer', output: troubleText(error) }
  } finally {
    for (const made of spools) made.close()
  }
}

function start(
  tools: ProgramTools,
  command: ByteString,
  home: ByteString,
  environment: ReadonlyMap<string, ByteString>,
  message: Spool,
  spool: () => Spool,
): Promise<ProgramEnd> {
  const variables: Record<string, string> = { ...tools.baseEnvironment }
  const raw: [string, ByteString][] = []
  for (const [name, value] of environment) {
    if (isText(value)) variables[name] = toText(value)
    else raw.push([name, value])
  }
  const call = {
    file: shell,
    cwd: toText(home),
    environment: variables,
    stdinFd: message.fd,
    millisecondsMax: programMillisecondsMax,
    outputBytesMax: outputBytesOfInterest,
  }
  if (raw.length === 0 && isText(command)) return run(tools.clock, { ...call, args: ['-c', toText(command)] })
  // Node passes on UTF-8 only: other bytes go through a script on descriptor 3, every value in single quotes.
  const script = spool()
  for (const [name, value] of raw) script.append(toBuffer(`${name}=${quoted(value)}; export ${name}\n`))
  script.append(toBuffer(`exec 3<&-\nexec ${shell} -c ${quoted(command)}\n`))
  return run(tools.clock, { ...call, args: ['-c', '. /dev/fd/3'], extraFd: script.fd })
}

function verdictOf(end: ProgramEnd, command: ByteString): ProgramResult {
  const output = fromBuffer(end.output)
  if (end.exitCode === notFoundCode) return { verdict: programVerdict(notFoundCode), output: output + hintFor(command) }
  if (end.exitCode === undefined) return { verdict: 'defer', output: output + programCrashedText }
  return { verdict: programVerdict(end.exitCode), output }
}

/** The shell has said that there is no such program: people of a qmail site will look for it here. */
function hintFor(command: ByteString): ByteString {
  const [path = ''] = command.trim().split(/[\s;|&<>]/, 1)
  const name = path.slice(path.lastIndexOf('/') + 1)
  return qmailsOwn.has(name)
    ? `qmail's program ${name} is not part of this system: ${qmailsOwn.get(name)}. (#4.3.0)\n`
    : ''
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

function isText(bytes: ByteString): boolean {
  return fromText(toText(bytes)) === bytes
}

/** For sh: nothing is special between single quotes but the quote. */
function quoted(value: ByteString): ByteString {
  return `'${value.replaceAll("'", "'\\''")}'`
}
