/** greylisting-spp's settings and greylisting-spp-wrapper's exemptions: is a recipient greylisted, and by which key.
 *  The settings are variables of the connection's environment, times in seconds. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import type { GreylistTimes } from './triple.ts'
import { clientIp } from '../qmail/tcp-environment.ts'

/** Today's choice: five minutes keep out what never comes back, and cost little delay; four hours hold every sane retry
 *  schedule; 36 days bridge a monthly newsletter. Harris's paper had one hour for the first. */
export const greylistDefaults: GreylistTimes = {
  minRejectSeconds: 300,
  maxWaitSeconds: 4 * 3600,
  acceptGoodSeconds: 36 * 86_400,
}
const secondsMax: number = 10 * 365 * 86_400

export interface GreylistFacts {
  readonly variables: ReadonlyMap<string, string>
  readonly sender: ByteString
  readonly recipient: ByteString
  /** control/greylist/exemptrcpts and exemptrcpthosts, looked at by the wrapper only. */
  readonly exemptions?: { readonly recipients: readonly ByteString[]; readonly hosts: readonly ByteString[] }
}

export type GreylistPlan =
  | { readonly kind: 'skip'; readonly rule: string; readonly logText: ByteString }
  | ({ readonly kind: 'ask'; ip: string; sender: ByteString; recipient: ByteString } & GreylistTimes)

export function planGreylist({ variables, sender, recipient, exemptions }: GreylistFacts): GreylistPlan {
  if (variables.has('GL_WHITELISTED')) return skip('GL_WHITELISTED', 'greylisting skipped: GL_WHITELISTED is set')
  if (variables.has('RELAYCLIENT')) return skip('RELAYCLIENT', 'greylisting skipped: RELAYCLIENT is set')
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1)
  if (hasLine(exemptions?.recipients, recipient))
    return skip('control/greylist/exemptrcpts', `greylisting skipped for recipient address: ${recipient}`)
  if (hasLine(exemptions?.hosts, domain))
    return skip('control/greylist/exemptrcpthosts', `greylisting skipped for recipient domain: ${domain}`)
  const fixedIp = exemptions === undefined ? '' : (variables.get('GL_WRAPPER_TCPREMOTEIP') ?? '')
  const ip = fixedIp === '' ? clientIp(variables) : fixedIp
  if (ip === '') return skip('TCPREMOTEIP', 'greylisting skipped: the address of the client is not known')
  return { kind: 'ask', ip, sender, recipient, ...greylistTimes(variables) }
}

/** A value that is not a whole number of seconds leaves the default in force. */
export function greylistTimes(variables: ReadonlyMap<string, string>): GreylistTimes {
  const seconds = (name: string, fallback: number): number => {
    const text = variables.get(name) ?? ''
    return /^[0-9]{1,12}$/.test(text) ? Math.min(Number(text), secondsMax) : fallback
  }
  return {
    minRejectSeconds: seconds('GL_MIN_REJECT', greylistDefaults.minRejectSeconds),
    maxWaitSeconds: seconds('GL_MAX_WAIT', greylistDefaults.maxWaitSeconds),
    acceptGoodSeconds: seconds('GL_ACCEPT_GOOD', greylistDefaults.acceptGoodSeconds),
  }
}

/** Refusals are always logged; an acceptance only where GL_VERBOSE or GL_DEBUG asks for it. */
export function isLogged(state: 'new' | 'young' | 'known', variables: ReadonlyMap<string, string>): boolean {
  return state !== 'known' || variables.has('GL_VERBOSE') || variables.has('GL_DEBUG')
}

function skip(rule: string, logText: ByteString): GreylistPlan {
  return { kind: 'skip', rule, logText: logText.replace(/[^ -~\x80-\xff]/g, '?') }
}

function hasLine(lines: readonly ByteString[] | undefined, value: ByteString): boolean {
  const wanted = lowerAscii(value)
  return lines?.some((line) => lowerAscii(line) === wanted) === true
}
