/** PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the password itself, so over TLS only. */
import type { ByteString } from '../../base/byte-string.ts'
import { clientFirst, malformed, refused, type SaslStep } from './step.ts'

export function beginPlain(initial: ByteString | undefined): SaslStep {
  return clientFirst(initial, (message) => {
    const [authorize = '', name = '', password, more] = message.split('\0')
    if (password === undefined || more !== undefined) return malformed('not three fields')
    return claim(name, password, authorize)
  })
}

export function beginLogin(initial: ByteString | undefined): SaslStep {
  const askPassword = (name: ByteString): SaslStep => ({
    kind: 'challenge',
    data: 'Password:',
    next: (password) => claim(name, password, ''),
  })
  return initial === undefined ? { kind: 'challenge', data: 'Username:', next: askPassword } : askPassword(initial)
}

function claim(name: ByteString, password: ByteString, authorize: ByteString): SaslStep {
  // An empty field is refused like a wrong one, and never reaches a password checker: some take it for an anonymous login.
  if (name === '' || password === '') return refused('no name or no password')
  if (`${name}${password}`.includes('\0')) return malformed('a NUL')
  return { kind: 'password', name, password, authorize }
}
