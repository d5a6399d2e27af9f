/** Checks of what a mail server needs of its machine and network. `setup` runs them before it writes anything, `doctor` at any
 *  time.
 *  Never:  changes anything.
 *  Fails:  a check that cannot be made gives a note, or nothing. */
import { existsSync } from 'node:fs'
import { networkInterfaces, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { describeError } from '../../../base/outcome.ts'
import type { Dns, RecordDns } from '../../../clients/dns/dns.ts'
import {
  type ComparedRecord,
  compareForward,
  compareListing,
  compareMx,
  compareReverse,
} from '../../../clients/dns/host-records.ts'
import { greets, reachOutward } from '../../../clients/smtp/outward.ts'
import { clockOffset } from '../../../clients/time/sntp.ts'
import { listeners, services } from '../../../contracts/services.ts'
import { realClock } from '../../../system/clock.ts'
import { probeDisk } from '../../../system/disk-probe.ts'
import { type PortHolder, portHolders } from '../../../system/listening-ports.ts'
import { privateAddresses, publicAddresses } from '../dns-records.ts'
import { finding, type MachineFinding } from './finding.ts'

export interface Machine {
  readonly dns: Dns & RecordDns
  readonly host: string
  /** Domains whose mail is kept here. */
  readonly domains: readonly string[]
  /** Where the home is, or will be. */
  readonly home: string
  /** host:port through which all mail leaves; undefined: to its exchangers. */
  readonly smarthost: { readonly host: string; readonly port: number } | undefined
  /** The server to ask for the time. */
  readonly timeServer: string
}

const megabyte: number = 1024 * 1024
const memoryBytesGood: number = 768 * megabyte
const memoryBytesMin: number = 384 * megabyte
const freeBytesGood: number = 1024 * megabyte
const freeBytesMin: number = 100 * megabyte
/** Faster than any disk that really syncs. */
const syncMillisecondsMin = 0.1
const syncMillisecondsGood = 50
const clockMillisecondsGood = 5_000
const clockMillisecondsMax = 300_000
const answerMillisecondsMax = 8_000

/** Checks whose errors can be ignored. */
export const checkNames: readonly string[] = ['ports', 'outgoing', 'resolver', 'clock', 'disk', 'room', 'memory']

export async function examine(machine: Machine): Promise<MachineFinding[]> {
  const found = await Promise.all([
    checkHost(machine),
    checkReverse(machine),
    checkMx(machine),
    checkOutward(machine),
    checkClock(machine),
    checkDisk(machine.home),
  ])
  return [...found.flat(), ...checkMemory()]
}

/** Of the machine's interfaces, without loopback. */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return [...new Set(all.filter(({ internal }) => !internal).map(({ address }) => address))]
}

async function checkHost({ dns, host }: Machine): Promise<MachineFinding[]> {
  const addresses = machineAddresses()
  const outside = publicAddresses(addresses)
  const found: MachineFinding[] = []
  if (outside.length === 0) {
    const has = privateAddresses(addresses)
    const text = has.length === 0 ? 'no address that others can reach' : `only private addresses (${has.join(', ')})`
    const remedy = `behind a router: have it pass port 25 on, and give ${host} the router's address in the DNS`
    found.push(finding('warning', 'address', text, remedy))
  }
  const { verdict, found: values } = await compareForward(dns, host, outside)
  if (verdict === 'unknown')
    found.push(finding('error', 'resolver', `the name server does not answer: ${values.join(' ')}`, resolverRemedy))
  else if (verdict === 'absent')
    found.push(finding('warning', 'forward', `${host} has no address in the DNS`, 'publish the records below'))
  else if (verdict === 'wrong')
    found.push(
      finding(
        'warning',
        'forward',
        `${host} is ${values.join(', ')}, this machine ${outside.join(', ')}`,
        'mend the DNS',
      ),
    )
  return found
}

const resolverRemedy =
  'see /etc/resolv.conf, and whether what it names answers; a resolver of your own: apt install unbound'

async function checkReverse({ dns, host }: Machine): Promise<MachineFinding[]> {
  const outside = publicAddresses(machineAddresses())
  const found = await Promise.all(
    outside.map(async (address) => {
      const [reverse, listing] = await Promise.all([compareReverse(dns, address, host), compareListing(dns, address)])
      return [...reverseFindings(address, host, reverse), ...listingFindings(address, listing)]
    }),
  )
  return found.flat()
}

function reverseFindings(address: string, host: string, { verdict, found }: ComparedRecord): MachineFinding[] {
  if (verdict === 'right' || verdict === 'unknown') return []
  const has = verdict === 'absent' ? 'no name' : `the name ${found.join(', ')}`
  const remedy = `have your provider name it ${host} (PTR): many servers take no mail otherwise`
  return [finding('warning', 'reverse', `${address} has ${has} in the DNS`, remedy)]
}

function listingFindings(address: string, { verdict, found }: ComparedRecord): MachineFinding[] {
  if (verdict !== 'wrong') return []
  const remedy = `see https://check.spamhaus.org/listed/?searchterm=${address}`
  return [finding('warning', 'listed', `${address} is on a blocklist (${found.join(', ')})`, remedy)]
}

async function checkMx({ dns, domains, host }: Machine): Promise<MachineFinding[]> {
  const found = await Promise.all(
    domains.map(async (domain) => {
      const { verdict, found: names } = await compareMx(dns, domain, host)
      if (verdict === 'right' || verdict === 'unknown') return []
      const text =
        verdict === 'absent'
          ? `${domain} has no MX: mail for it does not come here`
          : `${domain} has the MX ${names.join(', ')}: mail for it goes there`
      return [finding('warning', 'mx', text, `publish: ${domain}. IN MX 10 ${host}.`)]
    }),
  )
  return found.flat()
}

async function checkOutward({ dns, smarthost }: Machine): Promise<MachineFinding[]> {
  if (smarthost !== undefined) {
    const { open, text } = await greets(smarthost.host, smarthost.port, answerMillisecondsMax, realClock)
    return open ? [] : [finding('error', 'outgoing', `the smarthost does not answer: ${text}`, 'see its name and port')]
  }
  const { open, text } = await reachOutward(dns, answerMillisecondsMax, realClock)
  if (open) return []
  const remedy =
    'no mail can leave: have your provider open port 25 outward, or send through another server: --smarthost NAME:587'
  return [finding('error', 'outgoing', `no mail server elsewhere can be reached (${text})`, remedy)]
}

async function checkClock({ timeServer }: Machine): Promise<MachineFinding[]> {
  const offset = await clockOffset(timeServer, answerMillisecondsMax, realClock)
  if (offset === undefined || Math.abs(offset) < clockMillisecondsGood) return []
  const text = `the clock is ${Math.round(Math.abs(offset) / 1000)} s ${offset > 0 ? 'ahead' : 'behind'} (by ${timeServer})`
  const level = Math.abs(offset) > clockMillisecondsMax ? 'error' : 'warning'
  return [
    finding(level, 'clock', text, 'have it kept: apt install chrony, or systemctl enable --now systemd-timesyncd'),
  ]
}

async function checkDisk(home: string): Promise<MachineFinding[]> {
  let directory = home
  while (!existsSync(directory)) directory = dirname(directory)
  try {
    const { milliseconds, kind, freeBytes } = await probeDisk(directory, realClock)
    const found: MachineFinding[] = []
    if (kind === 'memory')
      found.push(
        finding('error', 'disk', `${directory} is in memory: mail would be lost`, '--home names a place on a disk'),
      )
    else if (kind === 'network')
      found.push(finding('warning', 'disk', `${directory} is on a network file system`, 'the queue wants a local disk'))
    else if (milliseconds < syncMillisecondsMin)
      found.push(
        finding(
          'warning',
          'disk',
          `${directory} syncs in no time: something only pretends`,
          'see caches and eatmydata',
        ),
      )
    else if (milliseconds > syncMillisecondsGood)
      found.push(finding('note', 'disk', `${directory} takes ${Math.round(milliseconds)} ms to sync a file`, ''))
    if (freeBytes < freeBytesGood)
      found.push(
        finding(
          freeBytes < freeBytesMin ? 'error' : 'warning',
          'room',
          `${directory} has ${megabytes(freeBytes)} left`,
          'make room',
        ),
      )
    return found
  } catch (error) {
    return [finding('error', 'disk', `${directory} takes no file: ${describeError(error)}`, 'see its owner and mode')]
  }
}

function checkMemory(): MachineFinding[] {
  const bytes = totalmem()
  if (bytes >= memoryBytesGood) return []
  const level = bytes < memoryBytesMin ? 'error' : 'warning'
  return [
    finding(
      level,
      'memory',
      `the machine has ${megabytes(bytes)} of memory`,
      `${megabytes(memoryBytesGood)} are better`,
    ),
  ]
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / megabyte)} MB`
}

/** Software that usually holds the mail ports, and how to stop it, by process name. */
const holders: ReadonlyMap<string, { readonly name: string; readonly service: string }> = new Map([
  ['master', { name: 'Postfix', service: 'postfix' }],
  ['exim4', { name: 'Exim', service: 'exim4' }],
  ['exim', { name: 'Exim', service: 'exim' }],
  ['sendmail', { name: 'Sendmail', service: 'sendmail' }],
  ['sendmail-mta', { name: 'Sendmail', service: 'sendmail' }],
  ['smtpd', { name: 'OpenSMTPD', service: 'opensmtpd' }],
  ['dovecot', { name: 'Dovecot', service: 'dovecot' }],
  ['tcpserver', { name: 'a tcpserver', service: 'qmail' }],
])

/** Ports of Quaver's services that another program holds. `more`: ports of services that run only on request. */
export function checkPorts(...more: readonly number[]): MachineFinding[] {
  const usual = listeners.filter(({ service }) => !('onRequest' in services[service])).map(({ port }) => port)
  const wanted = [...usual, ...more]
  const byProcess = new Map<string, PortHolder[]>()
  for (const holder of portHolders(wanted)) {
    const key = String(holder.pid)
    byProcess.set(key, [...(byProcess.get(key) ?? []), holder])
  }
  return [...byProcess.values()].map((held) => {
    const [{ pid, command } = { pid: undefined, command: '' }] = held
    const known = holders.get(command)
    const ports = held.map(({ port }) => port).join(', ')
    const who = pid === undefined ? 'another process' : `${known?.name ?? command} (process ${pid}, ${command})`
    const service = known?.service ?? command
    const remedy =
      pid === undefined
        ? `ss -ltnp sport = :${held[0]?.port ?? 25} shows it to root`
        : `stop it for good: systemctl disable --now ${service}, or: service ${service} stop. Mail in its queue stays there`
    return finding('error', 'ports', `port ${ports} is held by ${who}`, remedy)
  })
}
