/** This program's control files as values, read anew for each attempt, so that a changed file takes effect. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseNoExtensions, unwantedExtensions } from '../../protocols/smtp/unwanted-extensions.ts'
import { distinctNames } from '../../protocols/smtp/introduced-name.ts'
import type { TlsFacts } from '../../clients/smtp/tls-plan.ts'
import type { Control } from '../../stores/control/control.ts'
import { isPolicyHeeded } from '../../stores/control/policy-exceptions.ts'
import type { TlsHosts } from '../../stores/control/tls-hosts.ts'

export interface Settings {
  readonly helo: ByteString
  /** A routing file exists but could not be read yet: no mail is sent. */
  readonly unreadable: boolean
  readonly smtproutes: ReadonlyMap<ByteString, ByteString> | undefined
  readonly senderroutes: ReadonlyMap<ByteString, ByteString> | undefined
  readonly secrets: readonly ByteString[]
  readonly connectMilliseconds: number
  readonly replyMilliseconds: number
  /** Names that only we have, in lower case. */
  readonly ownNames: ReadonlySet<ByteString>
  /** Attempts at once to one address, by DNS and by a route. */
  readonly attemptsPerHost: number
  readonly attemptsPerRelay: number
  /** Keywords of EHLO, in capitals, that are not used with this exchanger or relay. */
  readonly unwantedExtensions: (name: string, address: string) => ReadonlySet<string>
  readonly tlsFacts: (name: string) => TlsFacts
  /** `domain`: of the recipients; true: its published TLS policies count. */
  readonly heedsPolicies: (domain: ByteString) => boolean
}

export function readSettings(control: Control, tlsHosts: TlsHosts): Settings {
  control.refresh()
  const noExtensions = parseNoExtensions(control.list('noextensions') ?? [])
  return {
    // A file from another system may have CRLF line ends.
    helo: control.line('helohost').replace(/[^!-~]/g, ''),
    unreadable: routing.some((name) => !control.isPresent(name)) && hasRoutingProblem(control),
    smtproutes: control.map('smtproutes'),
    senderroutes: control.map('senderroutes'),
    secrets: control.list('smarthostsecrets') ?? [],
    connectMilliseconds: 1000 * Math.max(1, control.number('timeoutconnect')),
    replyMilliseconds: 1000 * Math.max(1, control.number('timeoutremote')),
    ownNames: distinctNames(
      [control.line('me'), control.line('helohost'), control.line('smtpgreeting')].map(
        (line) => /^[!-~]*/.exec(line)?.[0] ?? '',
      ),
    ),
    attemptsPerHost: Math.max(1, control.number('concurrencyhost')),
    // Nearly all mail may go by one relay; still, a hanging relay must not block mail by others.
    attemptsPerRelay: Math.max(1, Math.ceil(control.number('concurrencyremote') / 2)),
    unwantedExtensions: (name, address) => unwantedExtensions(noExtensions, name, address),
    tlsFacts: (name) => tlsHosts.of(name),
    heedsPolicies: (domain) => isPolicyHeeded(control.list('notlspolicies'), domain),
  }
}

const routing = ['smtproutes', 'senderroutes', 'smarthostsecrets'] as const

function hasRoutingProblem(control: Control): boolean {
  return control
    .problems()
    .some((problem) => routing.some((name) => problem.startsWith(`control/${name}:`) && !control.isPresent(name)))
}
