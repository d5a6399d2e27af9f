/** The control files by which recipients are routed, as the tables that protocols/qmail/routing.ts wants: the queue
 *  routes by them, and smtpd asks by them whether a recipient would be local. */
import { lowerAscii } from '../../base/byte-string.ts'
import type { RoutingTables } from '../../protocols/qmail/routing.ts'
import type { Control } from './control.ts'
import type { OwnAddresses } from './own-addresses.ts'

/** Re-read at a reload only: a half-written `locals` would bounce local mail for good. */
export const routingFiles = ['locals', 'virtualdomains', 'percenthack', 'localiphost', 'moreipme', 'notipme'] as const

/** Undefined without locals and me, since it is unknown then which mail is ours. Without `own` a literal is never ours. */
export function routingTables(control: Control, own?: OwnAddresses): RoutingTables | undefined {
  const locals = control.list('locals')
  if (locals === undefined) return undefined
  const localIpHost = control.optionalLine('localiphost')
  return {
    envnoathost: control.line('envnoathost'),
    percenthack: new Set(control.list('percenthack')?.map(lowerAscii)),
    locals: new Set(locals.map(lowerAscii)),
    virtualdomains: control.map('virtualdomains') ?? new Map<string, string>(),
    ...(own === undefined || localIpHost === undefined
      ? {}
      : { localIpHost: { name: localIpHost, isOurs: (ip: string) => own.has(ip) } }),
  }
}
