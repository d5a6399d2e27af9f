/** What deliveries share, made from control files at the start. */
import { describeError } from '../../base/outcome.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { StsPolicies } from '../../clients/mta-sts/policies.ts'
import { isReachableAddress } from '../../clients/smtp/addresses.ts'
import { ConnectionPool } from '../../clients/smtp/connection-pool.ts'
import { DeadHosts } from '../../clients/smtp/dead-hosts.ts'
import { Deadlines } from '../../clients/smtp/deadlines.ts'
import { MailExchangers } from '../../clients/smtp/mail-exchangers.ts'
import { TlsContexts } from '../../clients/smtp/tls-contexts.ts'
import { TlsPolicies } from '../../clients/smtp/tls-policies.ts'
import type { Control } from '../../stores/control/control.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import { readDnsTrust } from '../../stores/control/dns-trust.ts'
import type { Home } from '../../stores/home/layout.ts'
import { KeptPolicies } from '../../stores/mta-sts/kept-policies.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import type { Log } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import type { Equipment } from './delivery.ts'
import { HostShares } from './host-shares.ts'
import { WaryHosts } from './wary-hosts.ts'

export interface Equipped {
  readonly equipment: Equipment
  readonly dns: SystemDns
  readonly stsPolicies: StsPolicies
  readonly keptPolicies: KeptPolicies
}

/** `fail`: called if control/dnsservers has an invalid line. */
export function equip(
  home: Home,
  control: Control,
  log: Log,
  countTls: Equipment['countTls'],
  fail: (text: string) => never,
): Equipped {
  const warn = (problem: string): void => log(`warning: ${problem}`)
  const dns = openDns(control, fail)
  const deadHosts = new DeadHosts(realClock, realRandom)
  const interfaces = interfaceAddressReader(() => realClock.monotonic())
  const ownAddresses = new OwnAddresses(control, interfaces, warn)
  const contexts = new TlsContexts(warn)
  const keptPolicies = new KeptPolicies(realFiles, home)
  const stsPolicies = new StsPolicies({
    store: keptPolicies,
    web: {
      addresses: (name) => dns.addresses(name),
      isReachable: isReachableAddress,
      context: () => contexts.ofMachine(),
    },
    txt: (name) => dns.txt(name),
    clock: realClock,
    log,
  })
  const equipment: Equipment = {
    exchangers: new MailExchangers({
      dns,
      random: realRandom,
      isOurs: (address) => ownAddresses.has(address),
      isDead: (address) => deadHosts.isDead(address),
    }),
    deadlines: new Deadlines(realClock),
    pool: new ConnectionPool(realClock),
    deadHosts,
    hostShares: new HostShares(realClock),
    clearHosts: new WaryHosts('TLS', realClock, log),
    patientHosts: new WaryHosts('PIPELINING', realClock, log),
    log,
    contexts,
    tlsPolicies: new TlsPolicies(stsPolicies, dns),
    countTls,
  }
  return { equipment, dns, stsPolicies, keptPolicies }
}

function openDns(control: Control, fail: (text: string) => never): SystemDns {
  try {
    return new SystemDns(realClock, control.list('dnsservers') ?? [], undefined, readDnsTrust(control.list('dnstrust')))
  } catch (error) {
    return fail(`control/dnsservers: ${describeError(error)}`)
  }
}
