/** The queue's control files, as values. */
import type { BounceSettings } from '../../protocols/qmail/bounce.ts'
import type { Channel } from '../../stores/queue/contract.ts'
import type { Control } from '../../stores/control/control.ts'
import type { ChannelSettings } from './channel-schedule.ts'
import { deliveriesPerUidMax } from './limits.ts'

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
      concurrencyPerShare: deliveriesPerUidMax,
      concurrencyPerSender: Number.POSITIVE_INFINITY,
      leavesRoom: true,
      lifetimeSeconds,
    },
    remote: {
      concurrency: control.number('concurrencyremote'),
      concurrencyPerShare: control.number('concurrencyhost'),
      concurrencyPerSender: Math.ceil(control.number('concurrencyremote') / 2),
      leavesRoom: false,
      lifetimeSeconds,
    },
  }
}
