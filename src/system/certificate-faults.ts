/** Why Node or OpenSSL refuses a certificate, in the few kinds that people and reports tell apart. */
import { describeError } from '../base/outcome.ts'

export type CertificateFault = 'name' | 'time' | 'untrusted'

const untrusted = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|ERR_TLS_CERT)/

/** `code`: of the error. Undefined: it is not about a certificate. */
export function certificateFault(code: string): CertificateFault | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') return 'name'
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') return 'time'
  return untrusted.test(code) ? 'untrusted' : undefined
}

/** Node adds advice on how to run Node, which does not help a reader of our log. */
export function describeTlsError(error: unknown): string {
  return describeError(error).replace(/; if the root CA is installed locally.*/, '')
}
