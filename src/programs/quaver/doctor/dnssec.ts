/** Do remote's name servers verify DNSSEC as far as configuration tells, as DANE needs?
 *  Never:  asks them. */
import { toText } from '../../../base/byte-string.ts'
import { SystemDns } from '../../../clients/dns/resolver.ts'
import { Control } from '../../../stores/control/control.ts'
import { nobodyTrusted, readDnsTrust } from '../../../stores/control/dns-trust.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { realClock } from '../../../system/clock.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'

/** If all mail leaves by one relay, no exchanger's records matter. */
export function dnssecFindings(home: Home): MachineFinding[] {
  const control = new Control(home.control, realClock)
  const trusted = control.list('dnstrust')
  const hasRelay = (control.map('smtproutes')?.get('') ?? '') !== ''
  if (hasRelay || trusted?.includes(nobodyTrusted) === true) return []
  const dns = openDns(control, readDnsTrust(trusted))
  if (dns === undefined || dns.knowsDnssec) return []
  const text = `the name servers (${dns.servers().join(' ')}) are not believed about DNSSEC: mail goes without DANE`
  const remedy =
    'have a resolver that validates on this machine, and name it in control/dnsservers; or see control/dnstrust'
  return [finding('note', 'dnssec', text, remedy)]
}

/** Undefined: control/dnsservers is faulty, which another check reports. */
function openDns(control: Control, isTrusted: (server: string) => boolean): SystemDns | undefined {
  try {
    return new SystemDns(realClock, (control.list('dnsservers') ?? []).map(toText), undefined, isTrusted)
  } catch {
    return undefined
  }
}
