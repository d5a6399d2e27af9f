/** The queue's control files, as values. What `locals` and `virtualdomains` say changes only at a reload: a file that is
 *  half written when it is read would bounce local mail for good. */
import { lowerAscii } from '../../base/byte-string.ts'
import type { BounceSettings } from '../../protocols/qmail/bounce.ts'
import type { RoutingTables } from '../../protocols/qmail/routing.ts'
import type { Channel } from '../../stores/queue/contract.ts'
import type { Control } from '../../stores/control/control.ts'
import type { ChannelSettings } from './channel-schedule.ts'

/** Undefined without locals and me: nobody could say which mail is ours. */
export function routingTables(control: Control): RoutingTables | undefined {
  const locals = control.list('locals')
  if (locals === undefined) return undefined
  return {
    envnoathost: control.line('envnoathost'),
    percenthack: new Set(control.list('percenthack')?.map(lowerAscii)),
    locals: new Set(locals.map(lowerAscii)),
    virtualdomains: control.map('virtualdomains') ?? new Map<string, string>(),
  }
}

export function bounceSettings(control: Control): BounceSettings {
  return {
    bouncefrom: control.line('bouncefrom'),
    bouncehost: control.line('bouncehost'),
    doublebounceto: control.line('doublebounceto'),
    doublebouncehost: control.line('doublebouncehost'),
  }
}

export function channelSettings(control: Control): Readonly<Record<Channel, ChannelSettings>> {
  const lifetimeSeconds = control.number('queuelifetime')
  return {
    local: {
      concurrency: control.number('concurrencylocal'),
      concurrencyPerDomain: Number.POSITIVE_INFINITY,
      lifetimeSeconds,
    },
    remote: {
      concurrency: control.number('concurrencyremote'),
      concurrencyPerDomain: control.number('concurrencyhost'),
      lifetimeSeconds,
    },
  }
}
