/** Tells policy to which domains our mail has gone: these domains get reports about mail in their name. Each domain is told
 *  once a day.
 *  Never:  tells of bounces, or of reports themselves: a domain that gets nothing else must not stay known for ever.
 *  Fails:  what cannot be told is told with the next message; no delivery waits. */
import type { Socket } from 'node:net'
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { decodePolicyReply, encodePolicyNotice } from '../../contracts/policy.ts'
import type { Clock } from '../../system/clock.ts'
import { Link } from '../link.ts'

const domainsMax = 20_000
const dayMilliseconds = 86_400_000
const backOffMilliseconds = { min: 1_000, max: 60_000 } as const
const servingMillisecondsMax = 5_000

export interface CorrespondentsParts {
  readonly clock: Clock
  readonly connect: () => Promise<Socket>
  /** The sender of reports. */
  readonly reportAddress: () => ByteString | undefined
}

export class Correspondents {
  private readonly parts: CorrespondentsParts
  private readonly link: Link
  private told = new Set<ByteString>()
  private since: number

  constructor(parts: CorrespondentsParts) {
    this.parts = parts
    this.since = parts.clock.monotonic()
    this.link = new Link({
      to: 'policy',
      purpose: 'policy',
      clock: parts.clock,
      connect: parts.connect,
      connectMillisecondsMax: servingMillisecondsMax,
      backOffMilliseconds,
      isServing: (frame) => decodePolicyReply(frame).kind === 'serving',
      onFrame: () => undefined,
    })
  }

  /** A message was taken for a recipient there. */
  met(sender: ByteString, domain: ByteString): void {
    const now = this.parts.clock.monotonic()
    if (now - this.since >= dayMilliseconds || this.told.size >= domainsMax) {
      this.told = new Set()
      this.since = now
    }
    const name = lowerAscii(domain)
    if (this.told.has(name) || sender === '' || sender === '#@[]' || sender === this.parts.reportAddress()) return
    this.told.add(name)
    const frame = encodePolicyNotice({ kind: 'sent', domains: [name] })
    this.link.connected().then(
      (connection) => connection.send(frame),
      () => this.told.delete(name),
    )
  }

  close(): void {
    this.link.close()
  }
}
