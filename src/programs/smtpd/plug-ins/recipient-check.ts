/** Recipient checks: RCPTCHECK's program, or qmail-rcptcheck's list (control/rcptchecks), for one recipient.
 *  Knows:  the checks that pkgsrc ships, in process; everything else is executed with SENDER and RECIPIENT.
 *  Never:  exempts a client by itself: each check decides what RELAYCLIENT means to it.
 *  Fails:  a check that cannot be run, or does not end, yields a verdict like any other. */
import type { ByteString } from '../../../base/byte-string.ts'
import type { Variables } from '../../../contracts/execute.ts'
import {
  checkPatterns,
  type CheckVerdict,
  isBadRecipient,
  type PatternFiles,
  verdictOfExit,
} from '../../../protocols/qmail/rcptchecks.ts'
import type { Log } from '../../../system/log.ts'
import type { Executor } from '../../../clients/execute/client.ts'

const checkMillisecondsMax = 60_000
const outputBytesMax: number = 64 * 1024

/** The present content of control files. */
export interface CheckFiles extends PatternFiles {
  readonly rcptchecks: readonly ByteString[]
  readonly badrcptto: readonly ByteString[]
}

export interface CheckTools {
  readonly executor: Executor
  readonly log: Log
  files(): CheckFiles
  /** Would it be delivered here? (qmail-rcptcheck-realrcptto) Undefined: that check accepts everything. */
  readonly isDeliverable?: ((recipient: ByteString) => Promise<CheckVerdict>) | undefined
  /** Called with every answer. */
  readonly tell?: ((answer: CheckAnswer) => void) | undefined
}

export interface CheckAnswer {
  readonly verdict: CheckVerdict
  /** The program that decided; if all accepted, the one that was asked for. */
  readonly check: ByteString
  /** The file or variable behind it. */
  readonly decidedBy: string
  /** For the log, one line. */
  readonly text: string
}

export interface CheckQuestion {
  /** What RCPTCHECK names, or `qmail-rcptcheck`. */
  readonly program: ByteString
  readonly sender: ByteString
  readonly recipient: ByteString
  readonly environment: Variables
}

export async function checkRecipient(tools: CheckTools, question: CheckQuestion): Promise<CheckAnswer> {
  if (nameOf(question.program) !== 'qmail-rcptcheck') return await checkOne(tools, question)
  tools.log(`qmail-rcptcheck: from ${safe(question.sender)} to ${safe(question.recipient)}`)
  for (const program of tools.files().rcptchecks) {
    // In its own list it would call itself for ever.
    if (nameOf(program) === 'qmail-rcptcheck') continue
    const answer = await checkOne(tools, { ...question, program })
    if (answer.verdict !== 'accept') return answer
  }
  const text = `${safe(question.recipient)} passes all of control/rcptchecks`
  return { verdict: 'accept', check: question.program, decidedBy: 'control/rcptchecks', text }
}

function checkOne(tools: CheckTools, question: CheckQuestion): Promise<CheckAnswer> {
  switch (nameOf(question.program)) {
    case 'qmail-rcptcheck-badrcptto':
      return Promise.resolve(badRecipient(tools, question))
    case 'qmail-rcptcheck-qregex':
      return Promise.resolve(patterns(tools, question))
    case 'qmail-rcptcheck-realrcptto':
      return realRecipient(tools, question)
    default:
      return execute(tools, question)
  }
}

function badRecipient(tools: CheckTools, question: CheckQuestion): CheckAnswer {
  const { environment, recipient } = question
  const bad = !environment.has('RELAYCLIENT') && isBadRecipient(recipient, tools.files().badrcptto)
  if (!bad) return accepted(question, 'control/badrcptto')
  const text = `rcptcheck: badrcptto ${process.pid} ${remoteIp(environment)} ${safe(recipient)}`
  return refused(tools, question, 'control/badrcptto', text)
}

function patterns(tools: CheckTools, question: CheckQuestion): CheckAnswer {
  const { environment, sender, recipient } = question
  const helo = environment.has('NOBADHELO') ? undefined : environment.get('HELOHOST')
  const isRelayClient = environment.has('RELAYCLIENT')
  const found = checkPatterns(tools.files(), { sender, recipient, helo, isRelayClient })
  if (found.file === '') return accepted(question, 'control/badmailto')
  const decidedBy = `control/${found.file}`
  if (found.verdict === 'cannot-verify') {
    const text = `rcptcheck: qregex: ${decidedBy}: cannot use the pattern ${safe(found.pattern)}`
    tools.log(text)
    return { verdict: found.verdict, check: question.program, decidedBy, text }
  }
  const kind = found.file.replace('norelay', '')
  const pattern = environment.has('LOGREGEX') ? ` pattern: ${safe(found.pattern)}` : ''
  const text = `rcptcheck: qregex ${process.pid} ${remoteIp(environment)} ${safe(found.about)} (${kind}${pattern})`
  return refused(tools, question, decidedBy, text)
}

async function realRecipient(tools: CheckTools, question: CheckQuestion): Promise<CheckAnswer> {
  const verdict = (await tools.isDeliverable?.(question.recipient)) ?? 'accept'
  const decidedBy = 'users and .qmail files'
  if (verdict === 'accept') return accepted(question, decidedBy)
  const text = `rcptcheck: realrcptto ${process.pid} ${remoteIp(question.environment)} ${safe(question.recipient)}`
  if (verdict === 'refuse') return refused(tools, question, decidedBy, text)
  tools.log(`${text}: ${verdict}`)
  return { verdict, check: question.program, decidedBy, text: `${text}: ${verdict}` }
}

async function execute(tools: CheckTools, question: CheckQuestion): Promise<CheckAnswer> {
  const { program, sender, recipient } = question
  const environment = new Map(question.environment).set('SENDER', sender).set('RECIPIENT', recipient)
  const run = { kind: 'path', program, args: [], environment, millisecondsMax: checkMillisecondsMax } as const
  const end = await tools.executor.run({ ...run, outputBytesMax }, () => true)
  const said = `${end.how} ${end.how === 'exit' ? end.code : end.detail}`.trimEnd()
  const verdict = verdictOf(end.how, end.code)
  const text = `rcptcheck: ${safe(program)}: ${safe(recipient)}: ${verdict} (${said})`
  if (verdict !== 'accept') tools.log(text)
  return { verdict, check: program, decidedBy: safe(program), text }
}

function verdictOf(how: string, code: number): CheckVerdict {
  if (how === 'exit') return verdictOfExit(code)
  return how === 'signal' || how === 'not-run' ? 'cannot-execute' : 'cannot-verify'
}

function refused(tools: CheckTools, question: CheckQuestion, decidedBy: string, text: string): CheckAnswer {
  tools.log(text)
  return { verdict: 'refuse', check: question.program, decidedBy, text }
}

function accepted(question: CheckQuestion, decidedBy: string): CheckAnswer {
  const text = `${safe(nameOf(question.program))}: nothing against ${safe(question.recipient)}`
  return { verdict: 'accept', check: question.program, decidedBy, text }
}

/** PROTO says which variable has the address, as tcpserver's programs agree. */
function remoteIp(environment: Variables): string {
  const proto = environment.get('PROTO') ?? 'TCP'
  return safe(environment.get(`${proto}REMOTEIP`) ?? 'unknown')
}

function nameOf(program: ByteString): ByteString {
  return program.slice(program.lastIndexOf('/') + 1)
}

function safe(text: ByteString): string {
  return text.replace(/[^!-~]/g, '_')
}
