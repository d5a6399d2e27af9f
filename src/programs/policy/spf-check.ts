/** Answers `spf`: mailauth judges (RFC 7208, its strict mode), asking DNS through our port.
 *  Knows:  the limits of an evaluation, the best guess, the test with random addresses, our texts.
 *  Never:  loads the library before the first question: an idle process stays small. What the result means for the mail.
 *  Fails:  DNS trouble is temperror, as the RFC has it; throws for an address that is none, and where the library cannot
 *          be used. */
import type { spf } from 'mailauth/lib/spf/index.js'
import ipaddr from 'ipaddr.js'
import { toText } from '../../base/byte-string.ts'
import type { Answer, RecordDns } from '../../clients/dns/dns.ts'
import { type SpfAnswer, type SpfGuess, type SpfQuestion, type SpfResult, spfResults } from '../../contracts/policy.ts'
import { receivedSpf, spfExplanation } from '../../protocols/spf/received-spf.ts'
import { wantsGuess } from '../../protocols/spf/spp.ts'
import type { Random } from '../../system/random.ts'
import { spfMillisecondsMax, spfRecordBytesMax } from './limits.ts'

type Evaluate = typeof spf

export interface SpfParts {
  readonly dns: RecordDns
  readonly random: Random
  /** Our name. */
  readonly receiver: string
  readonly millisecondsMax?: number
}

interface Evaluation {
  readonly result: SpfResult
  /** The domain's own words. */
  readonly explanation: string | undefined
  readonly domain: string
  readonly record: string
}

const guessRecord = 'v=spf1 mx -all'

export class SpfCheck {
  private readonly parts: SpfParts
  private evaluator: Promise<Evaluate> | undefined

  constructor(parts: SpfParts) {
    this.parts = parts
  }

  async answer(question: SpfQuestion): Promise<SpfAnswer> {
    const { sender, helo } = question
    const ip = plainAddress(question.ip).toString()
    const { result, explanation, domain, record } = await this.evaluate(question, ip)
    const openToAll = question.refuseOpenPass && result === 'pass' && (await this.passesAtRandom(question))
    const guess: SpfGuess =
      question.bestGuess && wantsGuess(result, openToAll) ? await this.guess(question, domain) : 'not-made'
    const subject = { result, receiver: this.parts.receiver, ip, sender, helo }
    const field = receivedSpf(subject)
    return {
      kind: 'spf',
      result,
      explanation: spfExplanation(subject, explanation),
      receivedSpf: openToAll ? '' : field,
      openToAll,
      guess,
      rule: `TXT ${domain}${record === '' ? '' : `: ${record}`}`.replace(/[^ -~]/g, '?').slice(0, 600),
      logText: `qmail-spp-spf:${ip}: ${openToAll ? `pass ignored, ${domain} permits any address` : field}`,
    }
  }

  /** Two addresses of the same family that nobody chose. */
  private async passesAtRandom(question: SpfQuestion): Promise<boolean> {
    for (let n = 0; n < 2; n++) {
      const { result } = await this.evaluate(question, this.randomAddress(question.ip))
      if (result !== 'pass') return false
    }
    return true
  }

  private randomAddress(like: string): string {
    const bytes = this.parts.random.bytes(plainAddress(like).kind() === 'ipv6' ? 16 : 4)
    // A global unicast address: nobody's list of private networks should make the difference.
    if (bytes.length === 16) bytes[0] = 0x20 | ((bytes[0] ?? 0) & 0x0f)
    else bytes[0] = 1 + ((bytes[0] ?? 0) % 9)
    return ipaddr.fromByteArray([...bytes]).toString()
  }

  private async guess(question: SpfQuestion, domain: string): Promise<SpfGuess> {
    const { result } = await this.evaluate(question, question.ip, domain)
    return result === 'pass' || result === 'fail' ? result : 'unknown'
  }

  private async evaluate(question: SpfQuestion, ip: string, guessFor?: string): Promise<Evaluation> {
    const evaluate = await this.load()
    const found = await evaluate({
      ip,
      sender: toText(question.sender),
      helo: toText(question.helo),
      mta: this.parts.receiver,
      strict: true,
      maxElapsedTime: this.parts.millisecondsMax ?? spfMillisecondsMax,
      resolver: (name, type) => this.resolve(name, type, guessFor),
    })
    const result = spfResults.find((known) => known === found.status.result) ?? 'temperror'
    return { result, explanation: found.explanation, domain: found.domain, record: found.rr ?? '' }
  }

  private load(): Promise<Evaluate> {
    this.evaluator ??= import('mailauth/lib/spf/index.js').then((library) => library.spf)
    return this.evaluator
  }

  private async resolve(name: string, type: string, guessFor: string | undefined): Promise<string[][] | string[]> {
    const { dns } = this.parts
    switch (type) {
      case 'TXT': {
        if (name === guessFor) return [[guessRecord]]
        return valuesOf(await dns.txt(name)).map((record) => [boundedRecord(record)])
      }
      case 'A':
        return valuesOf(await dns.a(name))
      case 'AAAA':
        return valuesOf(await dns.aaaa(name))
      case 'PTR':
        return valuesOf(await dns.ptr(name))
      case 'MX': {
        const exchangers = valuesOf(await dns.mx(name)).map(({ preference, name: exchange }) => {
          return { priority: preference, exchange }
        })
        // The library's types know no MX records; its code takes them as Node gives them.
        return exchangers as unknown as string[]
      }
      default:
        throw new DnsError('EQUERY', `${type} is never asked for`)
    }
  }
}

/** As Node's resolver fails: the library tells the kinds apart by the code. */
class DnsError extends Error {
  override name = 'DnsError'
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

function valuesOf<T>(answer: Answer<T>): T[] {
  switch (answer.kind) {
    case 'found':
      return [...answer.values]
    case 'none':
      throw new DnsError('ENODATA', 'no such records')
    case 'hard':
      throw new DnsError('ENOTFOUND', 'no such name')
    case 'soft':
      throw new DnsError('ETIMEOUT', answer.why)
  }
}

/** What is too long to be looked at becomes a syntax error, if it claims to be SPF. */
function boundedRecord(record: string): string {
  return record.length <= spfRecordBytesMax ? record : `${record.slice(0, 7)} longer-than-${spfRecordBytesMax}-bytes`
}

/** IPv4 in IPv6 form becomes IPv4. */
function plainAddress(ip: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.process(ip)
}
