/** Has the signer sign what is about to be committed: new mail from here, once, so that every recipient and every attempt
 *  gets the same bytes.
 *  Knows:  what is new: bounces, mail of clients that may relay, and what is handed in on the machine and has not travelled.
 *          A forward is somebody else's mail: its From proves nothing.
 *  Never:  sees a key, or decides to whom a domain belongs.
 *  Fails:  mail that should be signed and cannot be is refused for now: unsigned, it would be thrown away by its receivers. */
import type { ByteString } from '../../base/byte-string.ts'
import { done, failed, type Outcome, transient } from '../../base/outcome.ts'
import type { SigningClient } from '../../clients/signing/signing-client.ts'
import { type Params, relayedParam } from '../../contracts/envelope.ts'
import { signedHeaderBytesMax } from '../../contracts/signing.ts'
import { authorDomain } from '../../protocols/dkim/author-domain.ts'
import { type Lines, signingRuleFor } from '../../protocols/dkim/signing-rules.ts'
import type { Origin } from './acceptance.ts'
import type { ReadMessage } from './read-message.ts'

const nothing: Outcome<ByteString> = done('')

export interface SigningPorts {
  readonly client: Pick<SigningClient, 'ask'>
  /** control/dkimdomains; undefined: nothing is signed here. */
  domains(): Lines
  /** Gets a line. */
  warn(text: string): void
}

/** Who wants a message signed. */
export interface Claim {
  readonly uid: number
  /** We vouch for whoever handed it in. */
  readonly isOurs: boolean
}

export class Signing {
  private readonly ports: SigningPorts

  constructor(ports: SigningPorts) {
    this.ports = ports
  }

  /** Undefined: a message of that origin is not ours to sign. */
  begin(params: Params, { invoked, uid }: Origin): Claim | undefined {
    if (this.ports.domains() === undefined) return undefined
    const isOurs = invoked === 'for bounce' || params.has(relayedParam)
    return invoked === 'from network' && !isOurs ? undefined : { uid, isOurs }
  }

  /** What is to stand above the message. */
  async fields({ uid, isOurs }: Claim, message: ReadMessage): Promise<Outcome<ByteString>> {
    const { header, hasTravelled, bodySha256 } = message
    const author = authorDomain(header)
    if (author.domain === undefined || signingRuleFor(author.domain, this.ports.domains()) === undefined) return nothing
    if (!isOurs && hasTravelled) return nothing
    if (header.length > signedHeaderBytesMax) return this.unsigned(author.domain, 'its header is too large')
    const answer = await this.ports.client.ask({ uid, isOurs, bodySha256, header })
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
