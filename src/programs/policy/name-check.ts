/** Answers `name`: the DNS name of an address, as tcpserver looks it up; with `confirm` as with its -p.
 *  Knows:  one time limit for the name and its addresses. Never: accepts a name that no host can have.
 *  Fails:  throws only for an invalid address. After DNS trouble the address counts as nameless. */
import ipaddr from 'ipaddr.js'
import { asHostName, type RecordDns } from '../../clients/dns/dns.ts'
import type { NameAnswer, NameQuestion } from '../../contracts/policy.ts'
import { reverseName } from '../../protocols/dns/reverse-name.ts'
import type { Clock } from '../../system/clock.ts'
import { freshMillisecondsOf } from './freshness.ts'
import { nameMillisecondsMax, namesMax } from './limits.ts'
import { untilDeadline } from './until-deadline.ts'

export interface NameParts {
  readonly dns: Pick<RecordDns, 'ptr' | 'a' | 'aaaa'>
  readonly clock: Clock
  readonly millisecondsMax?: number
}

interface Found {
  readonly name: string
  readonly leadsBack: boolean
  readonly text: string
  /** On the monotonic clock, by the DNS answers; 0: not to be reused. */
  readonly freshUntil: number
}

export class NameCheck {
  private readonly parts: NameParts

  constructor(parts: NameParts) {
    this.parts = parts
  }

  async answer({ ip: given, confirm }: NameQuestion): Promise<NameAnswer> {
    const { clock, millisecondsMax = nameMillisecondsMax } = this.parts
    const address = ipaddr.process(given)
    const ip = address.toString()
    const record = reverseName(address.toByteArray())
    const { name, leadsBack, text, freshUntil } = await this.find(
      record,
      confirm ? ip : undefined,
      clock.monotonic() + millisecondsMax,
    )
    return {
      kind: 'name',
      name,
      leadsBack,
      rule: `PTR ${record}`,
      logText: `name: ${ip} ${text}`,
      freshMilliseconds: freshMillisecondsOf(clock, freshUntil),
    }
  }

  /** `ip`: the address that a name must lead back to; undefined: none need to. */
  private async find(record: string, ip: string | undefined, deadline: number): Promise<Found> {
    const { dns, clock } = this.parts
    const found = await untilDeadline(clock, deadline, dns.ptr(record))
    if (found === undefined || found.kind === 'soft') return nameless('has a name that nobody can tell now', 0)
    const { freshUntil = 0 } = found
    const names = found.kind === 'found' ? found.values.slice(0, namesMax).map((value) => asHostName(value)) : []
    const hosts = names.filter((name) => name !== undefined)
    const [first] = hosts
    if (first === undefined) return nameless('has no name', freshUntil)
    if (ip === undefined) return { name: first, leadsBack: false, text: `is ${first}`, freshUntil }
    const ways = hosts.map((name) => this.addresses(name, ip.includes(':')))
    let until = freshUntil
    for (const [at, way] of ways.entries()) {
      const back = await untilDeadline(clock, deadline, way)
      until = Math.min(until, back === undefined || back.kind === 'soft' ? 0 : (back.freshUntil ?? 0))
      const name = hosts[at]
      if (name !== undefined && back?.kind === 'found' && back.values.some((value) => sameAddress(value, ip)))
        return { name, leadsBack: true, text: `is ${name}`, freshUntil: until }
    }
    return { name: first, leadsBack: false, text: `calls itself ${first}, which does not lead back`, freshUntil: until }
  }

  private addresses(name: string, isIpv6: boolean): ReturnType<RecordDns['a']> {
    return isIpv6 ? this.parts.dns.aaaa(name) : this.parts.dns.a(name)
  }
}

function nameless(text: string, freshUntil: number): Found {
  return { name: '', leadsBack: false, text, freshUntil }
}

function sameAddress(value: string, ip: string): boolean {
  return ipaddr.isValid(value) && ipaddr.process(value).toString() === ip
}
