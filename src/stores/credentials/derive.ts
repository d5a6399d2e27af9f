/** The only place that derives what is stored of a password: a hash for PLAIN and LOGIN, a verifier for SCRAM. */
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { deriveScramVerifier, formatScramVerifier, type ScramDigests } from '../../protocols/sasl/scram-verifier.ts'
import { hmacSha256, pbkdf2Sha256, sha256 } from '../../system/digests.ts'
import { hashPassword } from '../../system/password-hash.ts'
import { realRandom } from '../../system/random.ts'
import { AccountError } from '../home/account-error.ts'
import { prepareText } from './prepare-text.ts'

/** How well a stolen verifier resists guessing; the cost is the client's, and a slow telephone can bear it. */
export const scramIterations = 100_000
const saltBytes = 16

export const scramDigests: ScramDigests = { hmac: hmacSha256, hash: sha256, pbkdf2: pbkdf2Sha256 }

export interface Secrets {
  /** argon2id, a PHC string. */
  readonly phc: string
  /** RFC 5803; empty: none, so SCRAM is not for this credential. */
  readonly scram: string
}

/** `salt`: that of the account's other verifiers. SCRAM sends the salt before the client shows which password it has, so all
 *  passwords of an account need the same one. Throws AccountError for a password that RFC 4013 forbids. */
export async function deriveSecrets(
  password: string,
  salt: ByteString = realRandom.bytes(saltBytes).toString('latin1'),
): Promise<Secrets> {
  const prepared = prepareText(password)
  if (prepared === undefined) throw new AccountError('the password holds characters that no client may send (RFC 4013)')
  const [phc, verifier] = await Promise.all([
    hashPassword(prepared),
    deriveScramVerifier(scramDigests, fromText(prepared), salt, scramIterations),
  ])
  return { phc, scram: formatScramVerifier(verifier) }
}
