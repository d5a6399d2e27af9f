/** SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), the server's side.
 *  Knows:  channel bindings (RFC 5929, RFC 9266) as bytes that the caller took from the TLS connection.
 *  Never:  tells by its messages whether a name is known: that is in the offer, which the caller makes up if need be. */
import type { ByteString } from '../../base/byte-string.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { type Gs2Header, readGs2Header, readSaslName } from './gs2.ts'
import type { ScramVerifier } from './scram-verifier.ts'
import { clientFirst, malformed, refused, type SaslStep, type ScramOffer } from './step.ts'

export interface ScramMeans {
  hmac(key: ByteString, data: ByteString): ByteString
  hash(data: ByteString): ByteString
  /** In a time that depends on the lengths alone. */
  same(a: ByteString, b: ByteString): boolean
  /** Fresh for each exchange: printable ASCII without commas. */
  readonly nonce: string
  /** By name; empty if the connection has none. */
  readonly bindings: ReadonlyMap<string, ByteString>
}

/** The client's own, and what is sent back of it. */
const nonceBytesMax = 256
const proofBytes = 32

interface First {
  readonly header: Gs2Header
  readonly name: ByteString
  readonly nonce: string
}

export function beginScram(initial: ByteString | undefined, plus: boolean, means: ScramMeans): SaslStep {
  return clientFirst(initial, (message) => {
    const first = readFirst(message)
    if (typeof first === 'string') return malformed(first)
    const bound = bindingOf(first.header, plus, means)
    if (typeof bound !== 'string') return bound
    return {
      kind: 'verifiers',
      name: first.name,
      authorize: first.header.authorize,
      resume: (offer) => challenge(first, bound, offer, means),
    }
  })
}

/** Fields of the first message (RFC 5802 7); a text says what is wrong. */
function readFirst(message: ByteString): First | string {
  const header = readGs2Header(message)
  if (header === undefined) return 'no GS2 header'
  const [user = '', random = '', ...extensions] = header.rest.split(',')
  if (user.startsWith('m=')) return 'a mandatory extension'
  const name = user.startsWith('n=') ? readSaslName(user.slice(2)) : undefined
  if (name === undefined) return 'no name'
  const nonce = random.slice(2)
  if (!random.startsWith('r=') || !/^[!-+\--~]+$/.test(nonce) || nonce.length > nonceBytesMax) return 'no nonce'
  if (!extensions.every((extension) => /^[A-Za-z]=/.test(extension))) return 'an extension that is none'
  return { header, name, nonce }
}

/** The bytes that the connection is bound to, empty for none; or how the exchange ends. */
function bindingOf({ binding }: Gs2Header, plus: boolean, { bindings }: ScramMeans): ByteString | SaslStep {
  if (typeof binding === 'object') {
    if (!plus) return malformed('a channel binding without -PLUS')
    return bindings.get(binding.name) ?? refused('a channel binding that this connection does not have')
  }
  if (plus) return malformed('-PLUS without a channel binding')
  // RFC 5802 6: we did offer it, so an attacker between us took it out of the list.
  if (binding === 'unoffered' && bindings.size > 0) return refused('downgrade: the client did not see -PLUS offered')
  return ''
}

function challenge(first: First, bound: ByteString, offer: ScramOffer, means: ScramMeans): SaslStep {
  const nonce = first.nonce + means.nonce
  const data = `r=${nonce},s=${encodeBase64(offer.salt)},i=${offer.iterations}`
  return {
    kind: 'challenge',
    data,
    next: (message) => {
      const end = message.lastIndexOf(',p=')
      const proof = end === -1 ? undefined : decodeBase64(message.slice(end + 3))
      const signed = message.slice(0, end)
      const [channel = '', random] = signed.split(',')
      if (proof?.length !== proofBytes || !channel.startsWith('c=')) return malformed('no proof or no channel')
      const binding = decodeBase64(channel.slice(2))
      if (binding === undefined) return malformed('no channel')
      if (random !== `r=${nonce}`) return refused('another nonce')
      if (!means.same(means.hash(binding), means.hash(first.header.text + bound))) return refused('another channel')
      return decideProof(proof, `${first.header.rest},${data},${signed}`, offer.verifiers, means)
    },
  }
}

/** RFC 5802 3. All verifiers are tried, so the time does not tell which it was. */
function decideProof(
  proof: ByteString,
  authMessage: ByteString,
  verifiers: readonly ScramVerifier[],
  means: ScramMeans,
): SaslStep {
  const proven = verifiers.filter(({ storedKey }) => {
    const clientKey = exclusiveOr(proof, means.hmac(storedKey, authMessage))
    return means.same(means.hash(clientKey), storedKey)
  })
  const [verifier] = proven
  if (verifier === undefined) return refused('wrong proof')
  const data = `v=${encodeBase64(means.hmac(verifier.serverKey, authMessage))}`
  return {
    kind: 'challenge',
    data,
    next: (message) => (message === '' ? { kind: 'proven', verifier } : malformed('more after the proof')),
  }
}

function exclusiveOr(a: ByteString, b: ByteString): ByteString {
  const mixed = Buffer.from(a, 'latin1')
  for (const [at, byte] of mixed.entries()) mixed[at] = byte ^ b.charCodeAt(at)
  return mixed.toString('latin1')
}
