/** Answers `dnsbl`: asks the lists as rblsmtpd does: the first in order that lists the address decides.
 *  Knows:  A before TXT, one time limit for all lists together, that 553 is never used after trouble with another list.
 *  Never:  takes DNS trouble, or a list that refuses to serve us, for a listing.
 *  Fails:  throws only for an invalid address or line. */
import ipaddr from 'ipaddr.js'
import type { ByteString } from '../../base/byte-string.ts'
import type { RecordDns } from '../../clients/dns/dns.ts'
import type { DnsblAnswer, DnsblQuestion } from '../../contracts/policy.ts'
import {
  type DnsList,
  dnsListForm,
  type ListAnswer,
  listName,
  listText,
  parseDnsList,
  readListAnswer,
  refusalReason,
} from '../../protocols/dnsbl/dnsbl.ts'
import type { Clock } from '../../system/clock.ts'
import { freshMillisecondsOf } from './freshness.ts'
import { dnsblMillisecondsMax } from './limits.ts'
import { untilDeadline } from './until-deadline.ts'

export interface DnsblParts {
  readonly dns: RecordDns
  readonly clock: Clock
  /** Reports a fault for the administrator, at each occurrence. */
  readonly onTrouble: (topic: string, text: string) => void
  readonly millisecondsMax?: number
}

interface Asked {
  readonly list: DnsList
  readonly line: ByteString
  readonly name: string
  readonly answer: Promise<Looked>
}

interface Looked {
  readonly answer: ListAnswer | 'soft'
  /** On the monotonic clock, as a DNS answer's; 0: not to be reused. */
  readonly freshUntil: number
}

export class DnsblCheck {
  private readonly parts: DnsblParts

  constructor(parts: DnsblParts) {
    this.parts = parts
  }

  async answer({ ip: given, lists }: DnsblQuestion): Promise<DnsblAnswer> {
    const deadline = this.parts.clock.monotonic() + (this.parts.millisecondsMax ?? dnsblMillisecondsMax)
    const address = ipaddr.process(given)
    const ip = address.toString()
    const asked = lists.flatMap((line) => this.ask(line, address.toByteArray(), deadline))
    const marks: string[] = []
    let score = 0
    let decided: { readonly asked: Asked; readonly address: string } | undefined
    let trouble = false
    let freshUntil = Number.POSITIVE_INFINITY
    for (const one of asked) {
      if (decided !== undefined && one.list.use !== 'mark' && one.list.use !== 'score') continue
      const { answer, freshUntil: until } = await one.answer
      freshUntil = Math.min(freshUntil, until)
      if (answer === 'soft') trouble ||= decided === undefined
      else if (answer.kind === 'refused') this.tellRefusal(one.list.zone, answer.address)
      else if (answer.kind === 'clear') continue
      else if (one.list.use === 'mark') marks.push(one.list.zone)
      else if (one.list.use === 'score') score += one.list.score
      else decided = { asked: one, address: answer.address }
    }
    const freshMilliseconds = freshMillisecondsOf(this.parts.clock, freshUntil)
    const counted = { marks, score: Math.min(score, 0xffffffff), freshMilliseconds }
    if (decided === undefined) return clear(ip, counted)
    const { list, line, name } = decided.asked
    const found = { kind: 'dnsbl', zone: list.zone, address: decided.address, rule: line, ...counted } as const
    const source = `${list.zone} (${decided.address})`
    if (list.use === 'allow')
      return { ...found, decision: 'allowed', code: 0, text: '', logText: `dnsbl: ${ip} allowed by ${source}` }
    const code = list.use === 'refuse' && !trouble ? 553 : 451
    const text = await this.text(name, list.zone, deadline)
    return { ...found, decision: 'listed', code, text, logText: `dnsbl: ${ip} listed by ${source}: ${code} ${text}` }
  }

  private ask(line: ByteString, address: readonly number[], deadline: number): Asked[] {
    const list = parseDnsList(line)
    const name = list === undefined ? undefined : listName(address, list.zone)
    if (list === undefined || name === undefined) {
      const shown = line.slice(0, 100).replace(/[^ -~]/g, '?')
      this.parts.onTrouble(`line ${shown}`, `control/dnsbls: '${shown}' is not: ${dnsListForm}`)
      return []
    }
    return [{ list, line, name, answer: this.look(name, list, deadline) }]
  }

  private async look(name: string, list: DnsList, deadline: number): Promise<Looked> {
    const found = await untilDeadline(this.parts.clock, deadline, this.parts.dns.a(name))
    if (found === undefined || found.kind === 'soft') return { answer: 'soft', freshUntil: 0 }
    const { freshUntil = 0 } = found
    const answer = found.kind === 'found' ? readListAnswer(found.values, list.use) : ({ kind: 'clear' } as const)
    return { answer, freshUntil }
  }

  /** TXT is asked for only once the address is listed: its text explains, and never lists. */
  private async text(name: string, zone: string, deadline: number): Promise<ByteString> {
    const answer = await untilDeadline(this.parts.clock, deadline, this.parts.dns.txt(name))
    const text = answer?.kind === 'found' ? listText(answer.values[0] ?? '').trim() : ''
    return text === '' ? `your address is listed by ${zone}` : text
  }

  private tellRefusal(zone: string, address: string): void {
    const text = `DNS list ${zone} refuses to answer us (${address}): ${refusalReason(address)}; nobody is taken as listed there`
    this.parts.onTrouble(`refused by ${zone}`, text)
  }
}

type Counted = Pick<DnsblAnswer, 'marks' | 'score' | 'freshMilliseconds'>

function clear(ip: string, counted: Counted): DnsblAnswer {
  const { marks, score } = counted
  const notes = [
    ...(marks.length > 0 ? [`marked by ${marks.join(' ')}`] : []),
    ...(score > 0 ? [`score ${score}`] : []),
  ]
  const logText = `dnsbl: ${ip} ${notes.length === 0 ? 'clear' : notes.join(', ')}`
  return {
    kind: 'dnsbl',
    decision: 'clear',
    code: 0,
    zone: '',
    address: '',
    text: '',
    rule: 'control/dnsbls',
    ...counted,
    logText,
  }
}
