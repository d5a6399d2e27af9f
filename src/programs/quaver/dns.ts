/** `quaver dns`: the records to publish for hosted domains. */
import { fromText, lowerAscii, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { policyText, readPublishedPolicy } from '../../protocols/mta-sts/published-policy.ts'
import { parseDomain } from '../../stores/accounts/address.ts'
import { listDomains } from '../../stores/accounts/domains.ts'
import { Control } from '../../stores/control/control.ts'
import { reportAddress } from '../../stores/control/report-address.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { shownKeys } from './dkim.ts'
import type { ShownKey } from './dkim-key.ts'
import { CommandError } from './exit.ts'
import {
  caaRecords,
  policyRecords,
  domainRecords,
  type DnsRecord,
  hostRecords,
  privateAddresses,
  srsRecords,
  zoneLine,
} from './dns-records.ts'
import { machineAddresses } from './machine/checks.ts'
import { listeningServices, type MailService, mailServices, serverName } from './mail-services.ts'
import { print, printJson, styled } from './output.ts'
import { changing } from './site-change.ts'
import { shownAcme } from './tls/certificates.ts'
import { hostTlsa, offeredPolicy, tlsReports } from './tls/zone-rows.ts'

export async function dns(name: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const hosted = (await listDomains(realFiles, home)).map(({ domain }) => domain)
    const wanted = name === undefined ? hosted : [parseDomain(name)]
    const missing = wanted.find((domain) => !hosted.includes(domain))
    if (missing !== undefined)
      throw new CommandError(`${missing} is not hosted here: 'quaver domain add ${missing}' first`)
    if (wanted.length === 0) throw new CommandError("no domain is hosted here: 'quaver domain add example.org' first")
    const zone = await zoneOf(home, wanted)
    if (options.json === true) return printJson(zone)
    printZone(zone)
  })
}

export interface Zone {
  readonly host: string
  readonly privateAddresses: readonly string[]
  readonly notes: readonly string[]
  readonly records: readonly DnsRecord[]
}

export function printZone({ notes, records }: Pick<Zone, 'notes' | 'records'>): void {
  for (const note of notes) print(styled('yellow', `; ${note}`))
  for (const record of records) print(lines(record))
}

/** Of the host and these domains. */
export async function zoneOf(home: Home, domains: readonly string[]): Promise<Zone> {
  const { host, warnings: found } = await serverName(home)
  const warnings = [...found]
  if (!host.includes('.'))
    throw new CommandError(
      `${home.control}/me says '${host}', which no other host can find: write this host's full name there`,
    )
  const addresses = machineAddresses()
  const control = new Control(home.control, realClock)
  const relay = control.map('smtproutes')?.get('')
  const srsDomain = toText(lowerAscii(control.optionalLine('srs_domain') ?? ''))
  const services = await offeredServices(home)
  const keys = await publishedKeys(home, warnings)
  const takesReports = reportAddress(home, control)
  const facts = {
    host,
    addresses,
    services,
    keys,
    relay: relay === undefined || relay === '' ? undefined : toText(relay),
    reportAddress: takesReports === undefined ? undefined : toText(takesReports),
  }
  const ofForwards = srsDomain === '' || domains.includes(srsDomain) ? [] : srsRecords(srsDomain, facts)
  const tlsa = await hostTlsa(home, host)
  const records = [
    ...hostRecords(facts),
    ...(tlsa === undefined ? [] : [tlsa]),
    ...(await authorityRecords(home)),
    ...ofForwards,
    ...domains.flatMap((domain) => [
      ...domainRecords(domain, facts),
      ...(publishedPolicy(control, domain, host) ?? [offeredPolicy(domain, host)]),
      tlsReports(domain),
    ]),
  ]
  const inside = privateAddresses(addresses)
  const isReachable = records.some(({ type }) => type === 'A' || type === 'AAAA')
  const notes = isReachable ? warnings : [...warnings, unreachable(host, inside)]
  return { host, privateAddresses: inside, notes, records }
}

/** Undefined: we serve none for the domain. */
function publishedPolicy(control: Control, domain: string, host: string): readonly DnsRecord[] | undefined {
  const line = control.map('mtasts')?.get(fromText(domain))
  const policy = line === undefined ? undefined : readPublishedPolicy(line)
  return policy === undefined ? undefined : policyRecords(domain, host, policyText(policy, host))
}

/** Once there is a certificate: before, nobody knows what the authority is called. */
async function authorityRecords(home: Home): Promise<readonly DnsRecord[]> {
  const acme = await shownAcme(home)
  return acme === undefined ? [] : caaRecords(acme.names, acme.caaNames)
}

/** The keys are the signer's and root's to read: without them the rest is shown. */
async function publishedKeys(home: Home, notes: string[]): Promise<readonly ShownKey[]> {
  try {
    const keys = await shownKeys(home)
    for (const { fault } of keys) if (fault !== undefined) notes.push(fault)
    return keys.filter(({ record }) => record !== '')
  } catch (error) {
    notes.push(`the records of DKIM are not shown: ${describeError(error)}`)
    return []
  }
}

/** Those that listen, as they listen; all at their usual ports where none can be reached from outside, as in a demo, or
 *  where nothing runs. */
async function offeredServices(home: Home): Promise<readonly MailService[]> {
  const running = await listeningServices(home)
  if (running === undefined) return mailServices
  return running.services.length > 0 && running.onlyLoopback ? mailServices : running.services
}

function unreachable(host: string, inside: readonly string[]): string {
  const has = inside.length === 0 ? 'no address that others can reach' : `only private addresses (${inside.join(', ')})`
  return `this machine has ${has}: ${host} needs an A or AAAA record with the one under which it is reached from outside`
}

function lines(record: DnsRecord): string {
  return record.note === '' ? zoneLine(record) : `${styled('dim', `; ${record.note}`)}\n${zoneLine(record)}`
}
