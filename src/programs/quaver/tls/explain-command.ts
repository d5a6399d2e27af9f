/** `quaver tls explain`: makes the same lookups as remote, with the control files of this home, and prints every step. */
import { fromText, toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import { SystemDns } from '../../../clients/dns/resolver.ts'
import { type StsFinding, StsPolicies } from '../../../clients/mta-sts/policies.ts'
import { isReachableAddress } from '../../../clients/smtp/addresses.ts'
import { Deadlines } from '../../../clients/smtp/deadlines.ts'
import { MailExchangers, type Targets } from '../../../clients/smtp/mail-exchangers.ts'
import { findLogin } from '../../../clients/smtp/secrets.ts'
import { TlsContexts } from '../../../clients/smtp/tls-contexts.ts'
import { type DomainDemands, noDemands, TlsPolicies } from '../../../clients/smtp/tls-policies.ts'
import { chooseRoute, type Route } from '../../../protocols/qmail/smtproutes.ts'
import { distinctNames } from '../../../protocols/smtp/introduced-name.ts'
import { isMailDomain } from '../../../protocols/smtp/mail-domain.ts'
import { Control } from '../../../stores/control/control.ts'
import { readDnsTrust } from '../../../stores/control/dns-trust.ts'
import { OwnAddresses } from '../../../stores/control/own-addresses.ts'
import { isPolicyHeeded } from '../../../stores/control/policy-exceptions.ts'
import { TlsHosts } from '../../../stores/control/tls-hosts.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { KeptPolicies } from '../../../stores/mta-sts/kept-policies.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { interfaceAddressReader } from '../../../system/interfaces.ts'
import { realRandom } from '../../../system/random.ts'
import { type GlobalOptions, requireHome } from '../context.ts'
import { CommandError, exitCode } from '../exit.ts'
import { harmless, print, printJson, styled, when } from '../output.ts'
import { progress } from '../progress.ts'
import { conclude, explainExchanger, type ExplainedExchanger, type ExplainParts, targetsOrWhy } from './explain.ts'

const queryLimits = { queryMilliseconds: 3_000, triesMax: 2 }

interface Found {
  readonly domain: string
  /** In ASCII: the domain whose published policies count; empty if none do. */
  readonly published: string
  readonly nameServers: { readonly servers: readonly string[]; readonly areBelieved: boolean }
  /** Empty: by the DNS. */
  readonly route: string
  /** False: control/notlspolicies exempts the domain. */
  readonly isHeeded: boolean
  readonly sts: StsFinding | undefined
  readonly exchangers: readonly ExplainedExchanger[]
  readonly conclusion: string
}

export async function explain(name: string, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const domain = fromText(name.slice(name.lastIndexOf('@') + 1))
  if (!isMailDomain(domain))
    throw new CommandError(`'${harmless(name)}' is no domain that mail goes to`, exitCode.usage)
  const { found, isSent } = await find(home, domain, options.json === true)
  if (!isSent) process.exitCode = exitCode.failed
  if (options.json === true) printJson(forScripts(found))
  else show(found)
}

async function find(home: Home, domain: string, isQuiet: boolean): Promise<{ found: Found; isSent: boolean }> {
  const control = new Control(home.control, realClock)
  const dns = openDns(control)
  const contexts = new TlsContexts(() => undefined)
  const route = chooseRoute('', domain, { senderroutes: undefined, smtproutes: control.map('smtproutes') })
  if (route.kind === 'unreadable')
    throw new CommandError(`'${harmless(toText(route.text))}' in control/smtproutes is no relay`)
  const isRouted = route.kind === 'relay'
  const isHeeded = isPolicyHeeded(control.list('notlspolicies'), domain)
  const [targets, demands] = await Promise.all([
    targetsOf(control, dns, domain, route),
    isRouted || !isHeeded ? noDemands : demandsOf(home, dns, contexts, domain),
  ])
  const parts: ExplainParts = {
    contexts,
    deadlines: new Deadlines(realClock),
    tlsFacts: tlsFactsOf(home),
    helo: control.optionalLine('helohost') ?? 'localhost',
    ownNames: distinctNames([control.optionalLine('me') ?? '', control.optionalLine('helohost') ?? '']),
    hasLogin: isRouted && findLogin(control.list('smarthostsecrets') ?? [], route.relay) !== undefined,
    isRouted,
  }
  const { targets: all, why } = targetsOrWhy(targets)
  const shown = progress('exchangers', all.length, isQuiet)
  let done = 0
  // All at once, since a host that does not answer would delay the others.
  const exchangers = await Promise.all(
    all.map(async (target) => {
      const explained = await explainExchanger(target, demands, parts)
      shown.done(++done)
      return explained
    }),
  )
  shown.end()
  const { text, isSent } =
    why === '' ? conclude(exchangers) : { text: `a message would not be sent: ${why}`, isSent: false }
  const servers = dns.servers()
  const found: Found = {
    domain: toText(domain),
    published: demands.domain,
    nameServers: { servers, areBelieved: dns.knowsDnssec },
    route: isRouted ? `${toText(route.relay.host)}:${route.relay.port}` : '',
    isHeeded,
    sts: demands.sts,
    exchangers,
    conclusion: text,
  }
  return { found, isSent }
}

function openDns(control: Control): SystemDns {
  try {
    const servers = (control.list('dnsservers') ?? []).map(toText)
    return new SystemDns(realClock, servers, queryLimits, readDnsTrust(control.list('dnstrust')))
  } catch (error) {
    throw new CommandError(`control/dnsservers: ${describeError(error)}`)
  }
}

async function targetsOf(control: Control, dns: SystemDns, domain: string, route: Route): Promise<Targets> {
  const interfaces = interfaceAddressReader(() => realClock.monotonic())
  const own = new OwnAddresses(control, interfaces, () => undefined)
  const parts = { dns, random: realRandom, isOurs: (address: string) => own.has(address), isDead: () => false }
  const exchangers = new MailExchangers(parts)
  return route.kind === 'relay' ? await exchangers.ofRelay(route.relay) : await exchangers.ofDomain(domain)
}

/** Reads stored policies and writes nothing: the files are remote's. */
async function demandsOf(home: Home, dns: SystemDns, contexts: TlsContexts, domain: string): Promise<DomainDemands> {
  const kept = new KeptPolicies(realFiles, home)
  const policies = new StsPolicies({
    store: { read: (name) => kept.read(name), write: async () => undefined },
    web: {
      addresses: (name) => dns.addresses(name),
      isReachable: isReachableAddress,
      context: () => contexts.ofMachine(),
    },
    txt: (name) => dns.txt(name),
    clock: realClock,
    log: () => undefined,
  })
  return await new TlsPolicies(policies, dns).of(domain)
}

function tlsFactsOf(home: Home): ExplainParts['tlsFacts'] {
  const hosts = new TlsHosts(home.control, realClock, () => undefined)
  return (name) => hosts.of(name)
}

/** Missing values are null, not absent. */
function forScripts({ sts, exchangers, ...found }: Found): unknown {
  const policy =
    sts === undefined
      ? null
      : { ...sts, id: sts.id ?? null, policy: sts.policy ?? null, trouble: sts.trouble?.why ?? '' }
  return { ...found, sts: policy, exchangers: exchangers.map((one) => ({ ...one, tls: one.tls ?? null })) }
}

function show({ domain, published, nameServers, route, isHeeded, sts, exchangers, conclusion }: Found): void {
  const row = (title: string, text: string): void => print(`${styled('bold', title.padEnd(9))} ${harmless(text)}`)
  row('domain', domain)
  row('DNS', sayNameServers(nameServers))
  if (route !== '') row('route', `${route} (control/smtproutes): what the domain publishes is not looked at`)
  else if (!isHeeded) row('policies', 'not looked at (control/notlspolicies)')
  else for (const text of saySts(published, sts)) row('MTA-STS', text)
  for (const one of exchangers) showExchanger(one)
  print('')
  print(conclusion)
}

function sayNameServers({ servers, areBelieved }: Found['nameServers']): string {
  const where = servers.join(' ')
  return areBelieved
    ? `${where}: believed when it says that an answer is verified (DNSSEC)`
    : `${where}: not believed about DNSSEC, being neither on loopback nor in control/dnstrust; so there is no DANE`
}

function saySts(published: string, sts: StsFinding | undefined): string[] {
  if (sts === undefined) return ['none is looked for']
  const { policy, id, isKept, isUncertain, goodUntil, trouble } = sts
  const lines: string[] = []
  if (id !== undefined) lines.push(`record with id ${id}`)
  else if (isUncertain) lines.push(`whether there is a record at _mta-sts.${published} cannot be found out now`)
  else lines.push(`no record at _mta-sts.${published}`)
  if (trouble !== undefined) lines.push(trouble.why)
  if (policy === undefined)
    return [...lines, ...(id === undefined && trouble === undefined ? [] : ['so there is none'])]
  const kept = isKept ? ', kept from before' : ''
  lines.push(`mode ${policy.mode}${kept}, good until ${when(goodUntil)}`)
  if (policy.mx.length > 0) lines.push(`exchangers: ${policy.mx.join(' ')}`)
  return lines
}

const colours = { goes: 'green', clear: 'yellow', next: 'red', unreachable: 'red' } as const
const words = {
  goes: 'would take a message',
  clear: 'would take a message, unencrypted',
  next: 'passed over',
  unreachable: 'does not answer',
} as const

function showExchanger(one: ExplainedExchanger): void {
  const { name, address, port, isCertain, tlsa, demand, tls, outcome, why } = one
  print('')
  print(styled('bold', harmless(name === address ? `${address}:${port}` : `${name} (${address}:${port})`)))
  print(`  ${isCertain ? 'certain to be an exchanger (DNSSEC)' : 'an exchanger as the DNS says, unverified'}`)
  for (const record of tlsa) print(`  TLSA ${record}`)
  print(`  demanded: ${harmless(demand)}`)
  if (tls !== undefined) {
    print(`  ${tls.protocol}; certificate of ${harmless(tls.names || tls.subject)}`)
    print(`  by ${harmless(tls.issuer)}, until ${tls.validTo}`)
  }
  print(`  ${styled(colours[outcome], words[outcome])}${why === '' ? '' : `: ${harmless(why)}`}`)
}
