/** The queue's control files, as values. */
import { lowerAscii } from '../../base/byte-string.ts'
import type { BounceSettings } from '../../protocols/qmail/bounce.ts'
import type { Channel } from '../../stores/queue/contract.ts'
import type { Control } from '../../stores/control/control.ts'
import type { ChannelSettings } from './channel-schedule.ts'
import { hmacSha1Base64 } from '../../system/digests.ts'
import { deliveriesPerUidMax } from './limits.ts'
import type { RewritingSetting } from './sender-rewriting.ts'

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
      leavesRoom: true,
      lifetimeSeconds,
    },
    remote: {
      concurrency: control.number('concurrencyremote'),
      concurrencyPerShare: control.number('concurrencyhost'),
      leavesRoom: false,
      lifetimeSeconds,
    },
  }
}

/** Undefined: senders of forwards stay as they are. */
export function rewritingSetting(control: Control): RewritingSetting | undefined {
  control.refresh()
  const domain = control.optionalLine('srs_domain')
  if (domain === undefined || domain === '') return undefined
  return {
    form: {
      domain: lowerAscii(domain),
      separator: control.line('srs_separator'),
      hashLength: control.number('srs_hashlength'),
      hashMin: control.number('srs_hashmin'),
      maxAgeDays: control.number('srs_maxage'),
    },
    keys: { secrets: control.list('srs_secrets') ?? [], digest: hmacSha1Base64 },
    always: control.number('srs_alwaysrewrite') === 1,
    acceptedHosts: () =>
      [...(control.list('rcpthosts') ?? []), ...(control.list('morercpthosts') ?? [])].map(lowerAscii),
  }
}
