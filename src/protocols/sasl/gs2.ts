/** The header with which SCRAM and OAUTHBEARER messages begin (RFC 5801 4): channel binding, authorization identity. */
import type { ByteString } from '../../base/byte-string.ts'

export interface Gs2Header {
  /** `none`: the client cannot. `unoffered`: it can, and believes that we cannot. Else the binding's name. */
  readonly binding: 'none' | 'unoffered' | { readonly name: string }
  /** Empty: the same as the name. */
  readonly authorize: ByteString
  /** As it was sent, with its last comma: part of what the client signs. */
  readonly text: ByteString
  /** What follows. */
  readonly rest: ByteString
}

/** Undefined if the message does not begin with one. */
export function readGs2Header(message: ByteString): Gs2Header | undefined {
  const first = message.indexOf(',')
  const second = message.indexOf(',', first + 1)
  if (first === -1 || second === -1) return undefined
  const binding = readBinding(message.slice(0, first))
  const identity = message.slice(first + 1, second)
  const authorize = identity === '' ? '' : identity.startsWith('a=') ? readSaslName(identity.slice(2)) : undefined
  if (binding === undefined || authorize === undefined) return undefined
  return { binding, authorize, text: message.slice(0, second + 1), rest: message.slice(second + 1) }
}

/** RFC 5802 5.1: `=2C` is a comma, `=3D` an equals sign. Undefined for what is no name. */
export function readSaslName(text: ByteString): ByteString | undefined {
  if (text === '' || text.includes(',') || text.includes('\0')) return undefined
  const [first = '', ...others] = text.split('=')
  let name = first
  for (const part of others) {
    if (part.startsWith('2C')) name += `,${part.slice(2)}`
    else if (part.startsWith('3D')) name += `=${part.slice(2)}`
    else return undefined
  }
  return name
}

function readBinding(flag: string): Gs2Header['binding'] | undefined {
  if (flag === 'n') return 'none'
  if (flag === 'y') return 'unoffered'
  return /^p=[A-Za-z0-9.-]{1,64}$/.test(flag) ? { name: flag.slice(2) } : undefined
}
