/** Answers `spf`: mailauth evaluates (RFC 7208, its strict mode), with DNS through our port.
 *  Knows:  the limits of an evaluation, the best guess, the test with random addresses, our texts, and how long a result is
 *          reused for other senders of the same domain and address: while all DNS answers behind it are fresh, and only without
 *          macros in the records (they may name the sender, HELO or the time).
 *  Never:  loads the library before the first question: an idle process stays small. What the result means for the mail.
 *  Fails:  DNS trouble is temperror, as the RFC says; throws for an invalid address, and if the library cannot be loaded. */
import type { spf } from 'mailauth/lib/spf/index.js'
import ipaddr from 'ipaddr.js'
import { toText } from '../../base/byte-string.ts'
import { FreshMap } from '../../base/fresh-map.ts'
import type { Answer, RecordDns } from '../../clients/dns/dns.ts'
import { type SpfAnswer, type SpfGuess, type SpfQuestion, type SpfResult, spfResults } from '../../contracts/policy.ts'
import { receivedSpf, spfExplanation } from '../../protocols/spf/received-spf.ts'
import { wantsGuess } from '../../protocols/spf/spp.ts'
import type { Clock } from '../../system/clock.ts'
import type { Random } from '../../system/random.ts'
import { freshMillisecondsOf } from './freshness.ts'
import { freshMillisecondsMax, spfMillisecondsMax, spfRecordBytesMax, spfRememberedMax } from './limits.ts'

type Evaluate = typeof spf

export interface SpfParts {
  readonly dns: RecordDns
  readonly clock: Clock
  readonly random: Random
  /** Our name. */
  readonly receiver: string
  readonly millisecondsMax?: number
}

interface Evaluation {
  readonly result: SpfResult
  /** The domain's own explanation. */
  readonly explanation: string | undefined
  readonly domain: string
  readonly record: string
  /** On the monotonic clock; if not in the future, the evaluation is not reused. */
  readonly freshUntil: number
}

/** The DNS answers behind one evaluation. */
interface Sources {
  freshUntil: number
}

const guessRecord = 'v=spf1 mx -all'

export class SpfCheck {
  private readonly parts: SpfParts
  private readonly remembered = new FreshMap<Evaluation>(spfRememberedMax)
  private readonly openDomains = new FreshMap<boolean>(spfRememberedMax)
  private evaluator: Promise<Evaluate> | undefined

  constructor(parts: SpfParts) {
    this.parts = parts
  }

  async answer(question: SpfQuestion): Promise<SpfAnswer> {
    const { sender, helo } = question
    const ip = plainAddress(question.ip).toString()
    const evaluation = await this.evaluate(question, ip)
    const { result, explanation, domain, record } = evaluation
    const openToAll = question.refuseOpenPass && result === 'pass' && (await this.isOpen(question, evaluation))
    const wantsGuessing = question.bestGuess && wantsGuess(result, openToAll)
    const guess: SpfGuess = wantsGuessing ? await this.guess(question, domain) : 'not-made'
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
      freshMilliseconds: wantsGuessing ? 0 : freshMillisecondsOf(this.parts.clock, evaluation.freshUntil),
    }
  }

  /** For DMARC: the result, and the domain that it is about. */
  async resultFor(
    question: Pick<SpfQuestion, 'ip' | 'helo' | 'sender' | 'refuseOpenPass'>,
  ): Promise<{ readonly result: SpfResult; readonly openToAll: boolean; readonly domain: string }> {
    const whole = { ...question, bestGuess: false }
    const evaluation = await this.evaluate(whole, plainAddress(question.ip).toString())
    const { result, domain } = evaluation
    const openToAll = question.refuseOpenPass && result === 'pass' && (await this.isOpen(whole, evaluation))
    return { result, openToAll, domain }
  }

  /** A property of the domain, remembered as long as its pass. */
  private async isOpen(question: SpfQuestion, { domain, freshUntil }: Evaluation): Promise<boolean> {
    const key = `${plainAddress(question.ip).kind()} ${domain}`
    const known = this.openDomains.get(key, this.parts.clock.monotonic())
    if (known !== undefined) return known
    const isOpen = await this.passesAtRandom(question)
    this.openDomains.set(key, isOpen, freshUntil)
    return isOpen
  }

  /** Tests two random addresses of the same family. */
  private async passesAtRandom(question: SpfQuestion): Promise<boolean> {
    for (let n = 0; n < 2; n++) {
      const { result } = await this.evaluate(question, this.randomAddress(question.ip))
      if (result !== 'pass') return false
    }
    return true
  }

  private randomAddress(like: string): string {
    const bytes = this.parts.random.bytes(plainAddress(like).kind() === 'ipv6' ? 16 : 4)
    // A global unicast address, so that lists of private networks do not matter.
    if (bytes.length === 16) bytes[0] = 0x20 | ((bytes[0] ?? 0) & 0x0f)
    else bytes[0] = 1 + ((bytes[0] ?? 0) % 9)
    return ipaddr.fromByteArray([...bytes]).toString()
  }

  private async guess(question: SpfQuestion, domain: string): Promise<SpfGuess> {
    const { result } = await this.evaluate(question, question.ip, domain)
    return result === 'pass' || result === 'fail' ? result : 'unknown'
  }

  private async evaluate(question: SpfQuestion, ip: string, guessFor?: string): Promise<Evaluation> {
    const evaluated = guessFor === undefined ? checkedDomain(question) : undefined
    const key = evaluated === undefined ? undefined : `${ip} ${evaluated}`
    const known = key === undefined ? undefined : this.remembered.get(key, this.parts.clock.monotonic())
    if (known !== undefined) return known
    const evaluation = await this.evaluateAnew(question, ip, guessFor)
    const { freshUntil } = evaluation
    if (key !== undefined && freshMillisecondsOf(this.parts.clock, freshUntil) > 0)
      this.remembered.set(key, evaluation, freshUntil)
    return evaluation
  }

  private async evaluateAnew(question: SpfQuestion, ip: string, guessFor?: string): Promise<Evaluation> {
    const evaluate = await this.load()
    const sources: Sources = { freshUntil: this.parts.clock.monotonic() + freshMillisecondsMax }
    const found = await evaluate({
      ip,
      sender: toText(question.sender),
      helo: toText(question.helo),
      mta: this.parts.receiver,
      strict: true,
      maxElapsedTime: this.parts.millisecondsMax ?? spfMillisecondsMax,
      resolver: (name, type) => this.resolve(name, type, guessFor, sources),
    })
    const result = spfResults.find((known) => known === found.status.result) ?? 'temperror'
    const freshUntil = result === 'temperror' ? 0 : sources.freshUntil
    return { result, explanation: found.explanation, domain: found.domain, record: found.rr ?? '', freshUntil }
  }

  private load(): Promise<Evaluate> {
    this.evaluator ??= import('mailauth/lib/spf/index.js').then((library) => library.spf)
    return this.evaluator
  }

  private async resolve(
    name: string,
    type: string,
    guessFor: string | undefined,
    sources: Sources,
  ): Promise<string[][] | string[]> {
    const { dns } = this.parts
    switch (type) {
      case 'TXT': {
        if (name === guessFor) return [[guessRecord]]
        const records = valuesOf(await dns.txt(name), sources)
        if (records.some((record) => record.includes('%'))) sources.freshUntil = 0
        return records.map((record) => [boundedRecord(record)])
      }
      case 'A':
        return valuesOf(await dns.a(name), sources)
      case 'AAAA':
        return valuesOf(await dns.aaaa(name), sources)
      case 'PTR':
        return valuesOf(await dns.ptr(name), sources)
      case 'MX': {
        const exchangers = valuesOf(await dns.mx(name), sources).map(({ preference, name: exchange }) => {
          return { priority: preference, exchange }
        })
        // The library's types lack MX records; its code takes them in Node's form.
        return exchangers as unknown as string[]
      }
      default:
        throw new DnsError('EQUERY', `${type} is never asked for`)
    }
  }
}

/** Like an error of Node's resolver: the library distinguishes kinds by the code. */
class DnsError extends Error {
  override name = 'DnsError'
  readonly code: string

  constructor(code: string, text: string) {
    super(text)
    this.code = code
  }
}

function valuesOf<T>(answer: Answer<T>, sources: Sources): T[] {
  sources.freshUntil = Math.min(sources.freshUntil, answer.kind === 'soft' ? 0 : (answer.freshUntil ?? 0))
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

/** The domain whose policy is looked up; undefined if a sender names none, which is left to the library. */
function checkedDomain({ sender, helo }: SpfQuestion): string | undefined {
  if (sender === '') return `\0${helo}`
  return sender.includes('@') ? sender.slice(sender.lastIndexOf('@') + 1) : undefined
}

/** Turns a record that is too long into a syntax error, if it begins like SPF. */
function boundedRecord(record: string): string {
  return record.length <= spfRecordBytesMax ? record : `${record.slice(0, 7)} longer-than-${spfRecordBytesMax}-bytes`
}

/** IPv4 in IPv6 form becomes IPv4. */
function plainAddress(ip: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.process(ip)
}
