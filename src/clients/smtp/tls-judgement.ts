/** Whether the voucher vouches for the server at the other end, and what TLS reports call it if not (RFC 8460 §4.3). */
import type { TLSSocket } from 'node:tls'
import type { FailureType } from '../../protocols/tlsrpt/day.ts'
import { certificateFault } from '../../system/certificate-faults.ts'
import type { TlsTrouble } from './connection.ts'
import type { Voucher } from './tls-plan.ts'
import { anchorIn, matchesEndEntity } from './tlsa-match.ts'

export interface TlsFact {
  readonly kind: 'success' | FailureType
  /** Empty with success. */
  readonly why: string
}

export interface Judgement {
  /** Undefined: the voucher vouches, or none is needed. */
  readonly fault: TlsTrouble | undefined
  /** A TLSA record names this authority: once it is known, what it signed can be judged. */
  readonly anchorPem?: string
}

const good: Judgement = { fault: undefined }
const unmatched: TlsTrouble = { why: 'no TLSA record matches its certificate', code: 'TLSA' }

/** After the handshake, before anything is said. */
export function judgePeer(socket: TLSSocket, voucher: Voucher): Judgement {
  if (voucher.kind === 'nobody') return good
  if (voucher.kind === 'authorities') return socket.authorized ? good : { fault: chainFault(socket) }
  const { records } = voucher
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return { fault: { why: 'it shows no certificate', code: '' } }
  if (matchesEndEntity(records, leaf)) return good
  const isOfAuthority = records.some(({ usage }) => usage === 2)
  if (!isOfAuthority) return { fault: unmatched }
  if (socket.authorized) return good
  const anchorPem = anchorIn(records, leaf)
  return anchorPem === undefined ? { fault: unmatched } : { fault: chainFault(socket), anchorPem }
}

/** Node gives OpenSSL's code, or the error of its own check of names. */
function chainFault({ authorizationError }: TLSSocket): TlsTrouble {
  const error: unknown = authorizationError
  const text = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : text
  return { why: faultWords[certificateFault(code) ?? 'untrusted'](code), code }
}

const faultWords = {
  name: () => 'its certificate is for other names',
  time: (code: string) => `its certificate is not valid now (${code})`,
  untrusted: (code: string) => `nobody who is believed has signed its certificate (${code})`,
} as const

export function tlsFailureOf({ code }: TlsTrouble): FailureType {
  if (code === unmatched.code) return 'certificate-not-trusted'
  const fault = certificateFault(code)
  if (fault === 'name') return 'certificate-host-mismatch'
  if (fault === 'time') return 'certificate-expired'
  return fault === 'untrusted' ? 'certificate-not-trusted' : 'validation-failure'
}
