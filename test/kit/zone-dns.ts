/** DNS from a table, type by type, for what asks through RecordDns.
 *  Knows:  CNAME, as a resolver follows it. Unknown names do not exist. Counts what was asked. */
import type { Answer, MailExchanger, RecordDns } from '../../src/clients/dns/dns.ts'

export interface ZoneRecord {
  readonly type: 'A' | 'AAAA' | 'TXT' | 'PTR' | 'CNAME' | 'MX'
  /** `10 mx.test` for MX. */
  readonly value: string
}

/** `trouble`: types that are not in the table get no answer (a time-out). */
export interface ZoneName {
  readonly records: readonly ZoneRecord[]
  readonly trouble?: boolean
}

export class ZoneDns implements RecordDns {
  /** Of every answer but trouble; undefined: nobody knows. */
  freshUntil: number | undefined
  readonly asked: string[] = []
  private readonly names = new Map<string, ZoneName>()

  /** Records as `TXT v=spf1 -all`. */
  set(name: string, ...records: string[]): this {
    return this.setName(name, {
      records: records.map((record) => {
        const space = record.indexOf(' ')
        return { type: record.slice(0, space) as ZoneRecord['type'], value: record.slice(space + 1) }
      }),
    })
  }

  setName(name: string, zoneName: ZoneName): this {
    this.names.set(name.toLowerCase().replace(/\.$/, ''), zoneName)
    return this
  }

  a(name: string): Promise<Answer<string>> {
    return this.look(name, 'A')
  }
  aaaa(name: string): Promise<Answer<string>> {
    return this.look(name, 'AAAA')
  }
  txt(name: string): Promise<Answer<string>> {
    return this.look(name, 'TXT')
  }
  ptr(name: string): Promise<Answer<string>> {
    return this.look(name, 'PTR')
  }
  async mx(name: string): Promise<Answer<MailExchanger>> {
    const answer = await this.look(name, 'MX')
    if (answer.kind !== 'found') return answer
    const values = answer.values.map((value) => {
      const [preference, exchange] = value.split(' ')
      return { preference: Number(preference), name: exchange ?? '' }
    })
    return { ...answer, kind: 'found', values }
  }

  private async look(name: string, type: ZoneRecord['type']): Promise<Answer<string>> {
    const answer = this.find(name, type)
    return this.freshUntil === undefined ? answer : { ...answer, freshUntil: this.freshUntil }
  }

  private find(name: string, type: ZoneRecord['type']): Answer<string> {
    this.asked.push(`${type} ${name}`)
    let key = name.toLowerCase().replace(/\.$/, '')
    for (let hops = 0; hops < 10; hops++) {
      const found = this.names.get(key)
      if (found === undefined) return { kind: 'hard' }
      const values = found.records.filter((record) => record.type === type).map(({ value }) => value)
      if (values.length > 0) return { kind: 'found', values }
      const alias = found.records.find((record) => record.type === 'CNAME')
      if (alias === undefined) return found.trouble === true ? { kind: 'soft', why: 'time out' } : { kind: 'none' }
      key = alias.value.toLowerCase()
    }
    return { kind: 'soft', why: 'CNAME loop' }
  }
}
