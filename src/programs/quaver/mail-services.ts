/** Settings for mail programs: this host's name, its services and their ports. */
import { type ListenerName, listenersOf, loginServices, services } from '../../contracts/services.ts'
import { toText } from '../../base/byte-string.ts'
import { askAll } from '../../clients/admin/ask.ts'
import { Control } from '../../stores/control/control.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { tlsPaths } from '../../stores/home/tls-files.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { certificateFacts } from '../../system/keys.ts'
import { CommandError } from './exit.ts'
import { field, fieldsOf } from '../../clients/admin/row.ts'

const certificateBytesMax: number = 128 * 1024

export interface MailService {
  /** As in SRV records (RFC 6186, RFC 8314). */
  readonly name: ListenerName
  readonly use: 'sending' | 'fetching'
  /** Its usual name. */
  readonly title: string
  readonly port: number
  /** `TLS` from the first byte, or `STARTTLS`; no service goes without either. */
  readonly security: 'TLS' | 'STARTTLS'
}

/** TLS from the first byte is to be tried first (RFC 8314 §3). */
export const mailServices: readonly MailService[] = loginServices.flatMap((service) => {
  const { login, title } = services[service]
  return listenersOf(service)
    .map(
      ({ name, port, tls }) =>
        ({ name, use: login.purpose, title, port, security: tls === 'TLS' ? tls : 'STARTTLS' }) as const,
    )
    .toSorted((a, b) => Number(b.security === 'TLS') - Number(a.security === 'TLS'))
})

/** Services that listen now, with their ports; undefined if Quaver does not run. */
export async function listeningServices(home: Home): Promise<ListeningServices | undefined> {
  const rows = await askAll(socketPath(home, 'start'), { op: 'status' }, realClock).catch(() => [])
  const listening = field(fieldsOf(rows[0]), 'listening')
  return typeof listening === 'object' && listening !== null ? servicesIn(listening) : undefined
}

export interface ListeningServices {
  readonly services: readonly MailService[]
  /** All listen on loopback only. */
  readonly onlyLoopback: boolean
}

/** `listening`: addresses by service, as `start` gives them. */
export function servicesIn(listening: object): ListeningServices {
  const found: MailService[] = []
  let onlyLoopback = true
  for (const service of mailServices) {
    const addresses = addressesIn(listening, service.name)
    const port = Number(/:([0-9]{1,5})$/.exec(addresses[0] ?? '')?.[1])
    if (!Number.isInteger(port)) continue
    found.push({ ...service, port })
    onlyLoopback &&= addresses.every((address) => /^(127\.|\[::1\])/.test(address))
  }
  return { services: found, onlyLoopback }
}

function addressesIn(listening: object, name: string): string[] {
  const addresses = field(listening, name)
  return Array.isArray(addresses) ? addresses.filter((one) => typeof one === 'string') : []
}

export interface ServerName {
  readonly host: string
  /** Faults that would make a mail program complain; empty if none are known. */
  readonly warnings: readonly string[]
}

/** control/me if the certificate has it, else the first name that the certificate has. */
export async function serverName(home: Home): Promise<ServerName> {
  const me = hostName(home)
  const path = tlsPaths(home.tls).certificate
  // The caller may not be allowed to read it.
  const pem = await realFiles.read(path, certificateBytesMax).catch(() => '')
  if (pem === '') return { host: me, warnings: [] }
  if (pem === undefined) return { host: me, warnings: [`there is no certificate (${path}): nobody can log in`] }
  const facts = certificateFacts(pem.toString('latin1'))
  if (facts === undefined) return { host: me, warnings: [`${path} holds no certificate in PEM form`] }
  const warnings = facts.selfSigned
    ? ['the certificate is signed by itself alone: mail programs will warn, or refuse']
    : []
  if (facts.hosts.some((host) => speaksFor(host, me))) return { host: me, warnings }
  const other = facts.hosts.find((host) => !host.startsWith('*'))
  const fault = `the certificate does not have the name ${me} (control/me)`
  return { host: other ?? me, warnings: [...warnings, other === undefined ? fault : `${fault}, but ${other}`] }
}

export function hostName(home: Home): string {
  const me = new Control(home.control, realClock).optionalLine('me')
  if (me === undefined) throw new CommandError(`${home.control}/me is missing: write this host's name there`)
  return toText(me).toLowerCase()
}

/** `*` stands for one label (RFC 6125 §6.4.3). */
function speaksFor(pattern: string, host: string): boolean {
  return pattern === host || (pattern.startsWith('*.') && pattern.slice(1) === host.slice(host.indexOf('.')))
}
