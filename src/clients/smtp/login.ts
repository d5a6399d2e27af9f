/** AUTH PLAIN and LOGIN (RFC 4954, 4616) towards a smarthost.
 *  Never:  in clear.
 *  Fails:  with a temporary status whatever the server says: a wrong password is the admin's mistake, not the mail's. */
import { assert } from '../../base/assert.ts'
import { type ByteString, toBuffer } from '../../base/byte-string.ts'
import type { Status } from '../../base/outcome.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import type { Capabilities } from '../../protocols/smtp/capabilities.ts'
import type { SmtpConnection } from './connection.ts'
import { replyMilliseconds } from './reply-times.ts'
import type { Login } from './secrets.ts'

/** `unwilling`: it did not check the password, so that another address may be asked. */
export interface LoginRefusal {
  readonly kind: 'unwilling' | 'refused'
  readonly status: Status
}

/** Undefined: we are in. */
export async function logIn(
  connection: SmtpConnection,
  offered: Capabilities,
  { user, password }: Login,
): Promise<LoginRefusal | undefined> {
  assert(connection.secured !== undefined, 'a password goes out in TLS only')
  const { target } = connection
  const lines = offered.auth.includes('PLAIN')
    ? [`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`]
    : offered.auth.includes('LOGIN')
      ? ['AUTH LOGIN', base64(user), base64(password)]
      : undefined
  if (lines === undefined) return { kind: 'refused', status: remoteStatus.noLogin(target) }
  for (const [index, line] of lines.entries()) {
    connection.send(`${line}\r\n`, 1)
    const reply = await connection.reply(replyMilliseconds.login)
    if (reply === undefined) return { kind: 'unwilling', status: remoteStatus.died(target) }
    const expected = index === lines.length - 1 ? 235 : 334
    if (reply.code !== expected) {
      const kind = reply.code >= 400 && reply.code < 500 ? 'unwilling' : 'refused'
      return { kind, status: remoteStatus.loginRejected(target, reply) }
    }
  }
  return undefined
}

function base64(bytes: ByteString): string {
  return toBuffer(bytes).toString('base64')
}
