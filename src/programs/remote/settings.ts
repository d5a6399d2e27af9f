/** What control/ says to this program, as values: read anew for each attempt, so that a changed file takes effect. */
import type { ByteString } from '../../base/byte-string.ts'
import type { TlsFacts } from '../../clients/smtp/tls-plan.ts'
import type { Control } from '../../stores/control/control.ts'
import type { TlsHosts } from '../../stores/control/tls-hosts.ts'

export interface Settings {
  readonly helo: ByteString
  /** A file that says which way mail goes is there but could not be read yet: nothing goes any way. */
  readonly unreadable: boolean
  readonly smtproutes: ReadonlyMap<ByteString, ByteString> | undefined
  readonly senderroutes: ReadonlyMap<ByteString, ByteString> | undefined
  readonly secrets: readonly ByteString[]
  readonly connectMilliseconds: number
  readonly replyMilliseconds: number
  readonly tlsFacts: (name: string) => TlsFacts
}

export function readSettings(control: Control, tlsHosts: TlsHosts): Settings {
  control.refresh()
  return {
    // A file written elsewhere may end its lines in CRLF.
    helo: control.line('helohost').replace(/[^!-~]/g, ''),
    unreadable: routing.some((name) => !control.isPresent(name)) && hasRoutingProblem(control),
    smtproutes: control.map('smtproutes'),
    senderroutes: control.map('senderroutes'),
    secrets: control.list('smarthostsecrets') ?? [],
    connectMilliseconds: 1000 * Math.max(1, control.number('timeoutconnect')),
    replyMilliseconds: 1000 * Math.max(1, control.number('timeoutremote')),
    tlsFacts: (name) => tlsHosts.of(name),
  }
}

const routing = ['smtproutes', 'senderroutes', 'smarthostsecrets'] as const

function hasRoutingProblem(control: Control): boolean {
  return control
    .problems()
    .some((problem) => routing.some((name) => problem.startsWith(`control/${name}:`) && !control.isPresent(name)))
}
