/** qmail-spp-spf: which question a session asks, and which qmail-spp commands its answer becomes.
 *  The variables (SPP_SPF_…) are the connection's environment; their values are commands, separated by commas or
 *  newlines, in which `spf_smtp_msg` stands for the explanation. A value is cut into commands before the explanation is
 *  put in: what a sender's domain publishes can never become a command of its own. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Command, headerLine, parseCommand } from '../spp/command.ts'
import type { SpfResult } from './received-spf.ts'
import { clientIp } from '../qmail/tcp-environment.ts'

export type Variables = ReadonlyMap<string, string>

/** What is asked; `undefined` where SPF has nothing to say: for relay clients, and where no name is given. */
export function spfQuestion(
  variables: Variables,
  sender: ByteString,
  helo: ByteString,
): { ip: string; helo: ByteString; sender: ByteString; bestGuess: boolean; refuseOpenPass: boolean } | undefined {
  const ip = clientIp(variables)
  if (variables.has('RELAYCLIENT') || ip === '' || (sender === '' && helo === '')) return undefined
  return {
    ip,
    helo,
    sender,
    bestGuess: guessNames.some((name) => variables.has(name)),
    refuseOpenPass: variables.has('SPP_SPF_DONT_ALLOW_RANDOM_IP_PASS'),
  }
}

export interface SpfFindings {
  readonly result: SpfResult
  /** What stands for `spf_smtp_msg`: one line. */
  readonly explanation: ByteString
  readonly receivedSpf: ByteString
  /** The pass is given to random addresses too, and does not count. */
  readonly openToAll: boolean
  readonly guess: 'not-made' | 'pass' | 'fail' | 'unknown'
}

const guessNames = ['SPP_SPF_MX_RESULT_PASS', 'SPP_SPF_MX_RESULT_FAIL', 'SPP_SPF_MX_RESULT_UNKNOWN'] as const
const guessedFor: ReadonlySet<SpfResult> = new Set(['none', 'temperror', 'permerror'])

/** Is a best guess called for? */
export function wantsGuess(result: SpfResult, openToAll: boolean): boolean {
  return guessedFor.has(result) || openToAll
}

/** The commands in order: result variable, header, what the settings say to the result, what they say to the guess.
 *  `undefined` findings: the question was not answered. */
export function spfCommands(findings: SpfFindings | undefined, variables: Variables): Command[] {
  if (findings === undefined) {
    return [...commands(variables.get('SPP_SPF_NO_RESULT'), ''), ...guessCommands('unknown', variables, '')]
  }
  const { result, explanation, receivedSpf, openToAll, guess } = findings
  const guessed = wantsGuess(result, openToAll) ? guessCommands(guess, variables, explanation) : []
  if (openToAll) return guessed
  return [
    { kind: 'set', name: 'SPP_SPF_RESULT', value: result },
    ...[headerLine(receivedSpf)].filter((command) => command !== undefined),
    ...commands(variables.get(`SPP_SPF_RESULT_${result.toUpperCase()}`), explanation),
    ...guessed,
  ]
}

function guessCommands(guess: SpfFindings['guess'], variables: Variables, explanation: ByteString): Command[] {
  const name = guess === 'pass' || guess === 'fail' ? guess.toUpperCase() : 'UNKNOWN'
  return commands(variables.get(`SPP_SPF_MX_RESULT_${name}`), explanation)
}

function commands(setting: string | undefined, explanation: ByteString): Command[] {
  const line = explanation.replace(/[\r\n\0]/g, ' ')
  return (setting ?? '')
    .split(/[,\n]/)
    .map((command) => command.trim())
    .filter((command) => command !== '')
    .map((command) => parseCommand(command.replaceAll('spf_smtp_msg', () => line)))
    .filter((command) => command !== undefined)
}
