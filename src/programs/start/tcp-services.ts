/** The TCP services: under which name a program serves them, where they listen, what must be there first. */
import { networkInterfaces } from 'node:os'
import type { Control } from '../../stores/control/control.ts'
import { parseAddress, type TcpAddress } from '../../system/bind.ts'
import { UsageError } from './usage-error.ts'

export type TcpName = 'smtp' | 'submission' | 'submissions' | 'pop3' | 'pop3s' | 'qread'

interface TcpService {
  readonly file:
    | 'listen-smtp'
    | 'listen-submission'
    | 'listen-submissions'
    | 'listen-pop3'
    | 'listen-pop3s'
    | 'listen-qread'
  readonly port: number
  /** On loopback. */
  readonly demoPort: number
  /** Without a certificate it does not listen: a password must never come in clear. */
  readonly needsTls: boolean
  /** What a person calls it, and how it is protected. */
  readonly title: 'SMTP' | 'submission' | 'POP3' | 'the queue'
  readonly protection: '' | 'STARTTLS' | 'STLS' | 'TLS'
}

export const tcpServices: Readonly<Record<TcpName, TcpService>> = {
  smtp: { file: 'listen-smtp', port: 25, demoPort: 2525, needsTls: false, title: 'SMTP', protection: '' },
  submission: login('listen-submission', 587, 'submission', 'STARTTLS'),
  submissions: login('listen-submissions', 465, 'submission', 'TLS'),
  pop3: login('listen-pop3', 110, 'POP3', 'STLS'),
  pop3s: login('listen-pop3s', 995, 'POP3', 'TLS'),
  qread: {
    file: 'listen-qread',
    port: 20025,
    demoPort: 20025,
    needsTls: false,
    title: 'the queue',
    protection: '',
  },
}

function login(
  file: TcpService['file'],
  port: number,
  title: TcpService['title'],
  protection: TcpService['protection'],
): TcpService {
  return { file, port, demoPort: 2000 + port, needsTls: true, title, protection }
}

export function isTcpName(name: string): name is TcpName {
  return Object.hasOwn(tcpServices, name)
}

/** From the control file, else every address of the machine (IPv6 where it has it), in a demo loopback: on the usual
 *  port, or on a free one. */
export function addressesOf(name: TcpName, control: Control, demo: boolean, usualPort: boolean): readonly TcpAddress[] {
  const { file, port, demoPort } = tcpServices[name]
  const lines = control.list(file)
  if (lines === undefined) return demo ? [{ host: '127.0.0.1', port: usualPort ? demoPort : 0 }] : everywhere(port)
  const addresses = lines.map((line) => parseListenLine(file, line, port))
  const shown = addresses.map((address) => `${address.host} ${address.port}`)
  if (new Set(shown).size < shown.length) throw new UsageError(`control/${file} names an address twice`)
  return addresses
}

function everywhere(port: number): readonly TcpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const hosts = all.some(({ family }) => family === 'IPv6') ? ['0.0.0.0', '::'] : ['0.0.0.0']
  return hosts.map((host) => ({ host, port }))
}

function parseListenLine(file: string, line: string, port: number): TcpAddress {
  const address = parseAddress(line)
  if (address !== undefined) return address
  throw new UsageError(
    `control/${file}: '${line}' is not address:port, as in 192.0.2.1:${port} or [2001:db8::1]:${port}`,
  )
}
