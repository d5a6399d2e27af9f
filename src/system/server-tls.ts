/** The server's side of TLS: the certificate that `start` handed over, and handshakes with it.
 *  Fails:  `give` says what is wrong with a pair; the one before stays in force. */
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { describeError } from '../base/outcome.ts'

export class ServerTls {
  private context: SecureContext | undefined

  constructor(context?: SecureContext) {
    this.context = context
  }

  get available(): boolean {
    return this.context !== undefined
  }

  /** Undefined if it is in force now; else why not. */
  give(certificatePem: string, keyPem: string): string | undefined {
    try {
      this.context = createSecureContext({
        cert: certificatePem,
        key: keyPem,
        minVersion: 'TLSv1.2',
        secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
      })
      return undefined
    } catch (error) {
      return describeError(error)
    }
  }

  /** What an authentication on this connection can be bound to. */
  bindings(_socket: TLSSocket): ReadonlyMap<'tls-exporter' | 'tls-server-end-point', string> {
    return new Map()
  }

  /** RFC 7301: a client that offers protocols and not ours is told so (it believes to speak to a web server). Throws if
   *  there is no certificate. */
  secure(socket: Socket, protocol: string): TLSSocket {
    if (this.context === undefined) throw new Error('no certificate')
    const ALPNCallback = ({ protocols }: { protocols: string[] }): string | undefined =>
      protocols.includes(protocol) ? protocol : undefined
    return new TLSSocket(socket, { isServer: true, secureContext: this.context, ALPNCallback })
  }
}
