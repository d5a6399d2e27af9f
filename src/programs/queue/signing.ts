/** Has the signer sign what is about to be committed: new mail from here, once, so that every recipient and every attempt
 *  gets the same bytes.
 *  Knows:  what is new: bounces, mail of clients that may relay, and what is handed in on the machine and has not travelled.
 *          A forward is somebody else's mail: its From proves nothing.
 *  Never:  sees a key, or decides to whom a domain belongs.
 *  Fails:  mail that should be signed and cannot be is refused for now: unsigned, it would be thrown away by its receivers. */
import { type ByteString, fromBuffer } from '../../base/byte-string.ts'
import { done, failed, type Outcome, transient } from '../../base/outcome.ts'
import type { SigningClient } from '../../clients/signing/signing-client.ts'
import { type Params, relayedParam } from '../../contracts/envelope.ts'
import { signedHeaderBytesMax } from '../../contracts/signing.ts'
import { authorDomain } from '../../protocols/dkim/author-domain.ts'
import { CanonicalBody } from '../../protocols/dkim/canonical-body.ts'
import { headerFields } from '../../protocols/dkim/header-fields.ts'
import { type Lines, signingRuleFor } from '../../protocols/dkim/signing-rules.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'
import { RunningSha256 } from '../../system/digests.ts'
import type { Origin } from './acceptance.ts'
import { hasTravelled } from './travelled.ts'

const nothing: Outcome<ByteString> = done('')
const readHeaderBytesMax = 2 * signedHeaderBytesMax

export interface SigningPorts {
  readonly client: Pick<SigningClient, 'ask'>
  /** control/dkimdomains; undefined: nothing is signed here. */
  domains(): Lines
  /** Gets a line. */
  warn(text: string): void
}

export class Signing {
  private readonly ports: SigningPorts

  constructor(ports: SigningPorts) {
    this.ports = ports
  }

  /** Undefined: a message of that origin is not ours to sign. */
  begin(params: Params, origin: Origin): SignedReader | undefined {
    if (this.ports.domains() === undefined) return undefined
    const isOurs = origin.invoked === 'for bounce' || params.has(relayedParam)
    if (origin.invoked === 'from network' && !isOurs) return undefined
    return new SignedReader(this.ports, origin.uid, isOurs)
  }
}

/** Reads one message, and says what is to stand above it. */
export class SignedReader {
  private readonly ports: SigningPorts
  private readonly uid: number
  private readonly isOurs: boolean
  private readonly hash = new RunningSha256()
  private readonly canonical = new CanonicalBody('relaxed', this.hash.update)
  private readonly message: HeaderAndBody
  private header = ''

  constructor(ports: SigningPorts, uid: number, isOurs: boolean) {
    this.ports = ports
    this.uid = uid
    this.isOurs = isOurs
    this.message = new HeaderAndBody({
      header: (text) => {
        this.header = text
      },
      body: (bytes) => this.canonical.push(fromBuffer(bytes)),
    })
  }

  push(bytes: Buffer): void {
    // A header without end is kept no longer than it could be signed.
    if ((this.message.headerBytes ?? 0) <= readHeaderBytesMax) this.message.push(bytes)
  }

  /** Signatures, for a message with this head. Call it once, behind the last byte. */
  async fields(head: ByteString): Promise<Outcome<ByteString>> {
    this.message.end()
    this.canonical.end()
    const header = head + this.header
    const author = authorDomain(header)
    if (author.domain === undefined || signingRuleFor(author.domain, this.ports.domains()) === undefined) return nothing
    if (!this.isOurs && hasTravelled(headerFields(this.header), headerFields(head))) return nothing
    if (header.length > signedHeaderBytesMax) return this.unsigned(author.domain, 'its header is too large')
    const question = { uid: this.uid, isOurs: this.isOurs, bodySha256: this.hash.finish(), header }
    const answer = await this.ports.client.ask(question)
    if (answer.kind === 'signed') return done(answer.fields)
    if (answer.kind === 'unsigned') return this.unsigned(author.domain, answer.why)
    const why = `cannot sign mail from ${author.domain}: ${answer.why}`
    return failed(transient('7.5', 'mail server temporarily rejected message', why))
  }

  private unsigned(domain: ByteString, why: string): Outcome<ByteString> {
    this.ports.warn(`mail from ${domain} goes unsigned: ${why}`)
    return nothing
  }
}
