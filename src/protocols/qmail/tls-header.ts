/** The field that qmail-qfilter-addtlsheader puts in front of a message that came over TLS. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from './date.ts'

/** What ucspi-ssl's and fixsmtpio's children find in their environment once TLS has begun. */
export function tlsVariables(protocol: string, cipher: string): ReadonlyMap<string, ByteString> {
  return new Map([
    ['SSL_PROTOCOL', protocol],
    ['SSL_CIPHER', cipher],
    ['FIXSMTPIOTLS', '1'],
  ])
}

/** With its line end; empty if there was no TLS. Values of the environment cannot break the line. */
export function tlsHeader(environment: ReadonlyMap<string, ByteString>, milliseconds: number): ByteString {
  const cipher = environment.get('SSL_CIPHER')
  const protocol = environment.get('SSL_PROTOCOL')
  if (cipher === undefined || protocol === undefined) return ''
  const words = `ucspitls${accepted(environment)} ${protocol} ${cipher}`.replace(/[^ -~]/g, '?')
  return `Received: (${words}); ${headerDate(milliseconds)}\n`
}

function accepted(environment: ReadonlyMap<string, ByteString>): ByteString {
  if (environment.has('FIXSMTPIOTLS')) return ' acceptutils fixsmtpio'
  const user = environment.get('AUTHUP_USER')
  return user === undefined ? '' : ` acceptutils authup ${user}`
}
