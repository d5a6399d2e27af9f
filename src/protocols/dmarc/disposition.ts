/** What becomes of a message whose author was evaluated: what the owner of the author's domain wants, and how much of it we
 *  do (RFC 9989 §5.4, §7.4). */
import type { ByteString } from '../../base/byte-string.ts'
import type { DmarcVerdict } from './verdict.ts'

/** The strongest that we do; control/dmarcaction. */
export const dmarcActions = ['none', 'quarantine', 'reject'] as const
export type DmarcAction = (typeof dmarcActions)[number]

/** A line that cannot be understood means the same as no file. */
export function readDmarcAction(line: ByteString): DmarcAction {
  const word = line.trim().toLowerCase()
  return dmarcActions.find((action) => action === word) ?? 'quarantine'
}

export interface AuthorResult extends Pick<DmarcVerdict, 'result' | 'policy'> {
  /** Of `permerror`: readers could see several authors, or another. */
  readonly isAmbiguous: boolean
  readonly whyNoAuthor: string
}

/** What speaks for a message that fails. */
export interface Knowledge {
  /** It came from one of control/trustedforwarders. */
  readonly isTrusted: boolean
  /** A list that signed it itself: lists break the signatures of authors. */
  readonly isFromList: boolean
  /** A bounce: no sender would learn of its refusal. */
  readonly isBounce: boolean
}

export interface Disposition {
  readonly action: DmarcAction
  /** For a person. */
  readonly why: string
  /** For the owner of the domain: why the action is not what they want. */
  readonly reason?: 'local_policy' | 'mailing_list' | 'trusted_forwarder'
}

const trusted: Disposition = {
  action: 'none',
  why: 'it comes from one of control/trustedforwarders',
  reason: 'trusted_forwarder',
}

export function disposition(
  { result, policy, isAmbiguous, whyNoAuthor }: AuthorResult,
  most: DmarcAction,
  { isTrusted, isFromList, isBounce }: Knowledge,
): Disposition {
  if (result === 'permerror') {
    if (most === 'none') return { action: 'none', why: 'control/dmarcaction is none' }
    if (isTrusted) return trusted
    // Without an author no domain is named that a policy could protect. Several authors are invalid (RFC 5322 §3.6).
    return { action: isAmbiguous ? 'reject' : 'quarantine', why: whyNoAuthor }
  }
  if (result !== 'fail' || policy === undefined) return { action: 'none', why: `the result is ${result}` }
  if (policy === 'none') return { action: 'none', why: 'the owner of the domain wants nothing done' }
  if (most === 'none') return { action: 'none', why: 'control/dmarcaction is none', reason: 'local_policy' }
  if (isTrusted) return trusted
  if (policy === 'quarantine') return { action: 'quarantine', why: 'the owner of the domain wants it' }
  // A policy alone is no reason to refuse mail, RFC 9989 §7.4 says.
  if (most === 'quarantine')
    return { action: 'quarantine', why: 'control/dmarcaction asks for no more', reason: 'local_policy' }
  if (isFromList) return { action: 'quarantine', why: 'a mailing list signed it', reason: 'mailing_list' }
  if (isBounce) return { action: 'quarantine', why: 'it is a bounce', reason: 'local_policy' }
  return { action: 'reject', why: 'the owner of the domain wants it' }
}
