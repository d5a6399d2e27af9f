/** OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's older form of it): a token that an issuer has made.
 *  A token that is no good is answered by a challenge with the reason in JSON; the client says something to that, and
 *  only then the exchange ends. */
import type { ByteString } from '../../base/byte-string.ts'
import { readGs2Header } from './gs2.ts'
import { clientFirst, malformed, refused, type SaslStep } from './step.ts'

/** Between the parts of a message. */
const separator = '\x01'
/** RFC 6750 2.1: b64token. */
const bearerPattern = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i

export function beginOauthBearer(initial: ByteString | undefined): SaslStep {
  return clientFirst(initial, (message) => {
    const header = readGs2Header(message)
    if (header === undefined || typeof header.binding === 'object') return malformed('no GS2 header')
    const parts = header.rest.split(separator)
    if (parts[0] !== '') return malformed('no separator after the header')
    return claim(parts.slice(1), header.authorize, '{"status":"invalid_token"}')
  })
}

export function beginXoauth2(initial: ByteString | undefined): SaslStep {
  return clientFirst(initial, (message) => {
    const [user = '', ...parts] = message.split(separator)
    if (!user.startsWith('user=') || user.includes('\0')) return malformed('no user')
    return claim(parts, user.slice(5), '{"status":"401","schemes":"bearer","scope":""}')
  })
}

/** `parts` are `key=value`, then two that are empty. */
function claim(parts: readonly ByteString[], authorize: ByteString, errorJson: string): SaslStep {
  if (parts.at(-1) !== '' || parts.at(-2) !== '') return malformed('no end')
  const values = parts.slice(0, -2).filter((part) => part.toLowerCase().startsWith('auth='))
  const token = values.length === 1 ? bearerPattern.exec(values[0]?.slice(5) ?? '')?.[1] : undefined
  if (token === undefined) return malformed('no bearer token')
  return {
    kind: 'token',
    authorize,
    token,
    fail: () => ({ kind: 'challenge', data: errorJson, next: () => refused('bad token') }),
  }
}
