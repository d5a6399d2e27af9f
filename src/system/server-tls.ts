/** The server's side of TLS: the certificates that `start` handed over, and handshakes with them.
 *  Knows:  what is offered to clients, and which certificate a host name gets: one look into a Map, nothing is made for a
 *          name that a client sends.
 *  Fails:  `give` says what is wrong with a certificate; those before stay in force. */
import { constants, createHash, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import { type ByteString, fromBuffer, lowerAscii, toBuffer } from '../base/byte-string.ts'
import { describeError } from '../base/outcome.ts'
import type { BindingName, ChannelBindings } from '../contracts/auth.ts'
import type { NamedPair, TlsOrder } from '../contracts/supervise.ts'
import { keyPairFault } from './keys.ts'

/** `private`: passwords and people's mail. `opportunistic`: a sender that finds no suite of its own would send in clear,
 *  so ECDHE with CBC and SHA-2 comes last, for senders that have nothing else (Exchange on Windows up to 2012 R2). */
export type Suites = 'private' | 'opportunistic'

const suites13 = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256']
const ciphersOf: Readonly<Record<Suites, readonly string[]>> = {
  private: ['AES256-GCM-SHA384', 'CHACHA20-POLY1305', 'AES128-GCM-SHA256'],
  opportunistic: ['AES256-GCM-SHA384', 'CHACHA20-POLY1305', 'AES128-GCM-SHA256', 'AES256-SHA384', 'AES128-SHA256'],
}
const offered: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  // A question mark: where the runtime knows it.
  ecdhCurve: '?X25519MLKEM768:X25519:P-256:P-384',
  secureOptions:
    constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
}
/** By OpenSSL's names. */
const hashOfSignature: ReadonlyMap<string, string> = new Map([
  ['sha1WithRSAEncryption', 'sha256'],
  ['sha256WithRSAEncryption', 'sha256'],
  ['sha384WithRSAEncryption', 'sha384'],
  ['sha512WithRSAEncryption', 'sha512'],
  ['ecdsa-with-SHA1', 'sha256'],
  ['ecdsa-with-SHA256', 'sha256'],
  ['ecdsa-with-SHA384', 'sha384'],
  ['ecdsa-with-SHA512', 'sha512'],
])
const exporterLabel = 'EXPORTER-Channel-Binding'
const exporterBytes = 32

interface Served {
  readonly context: SecureContext
  /** RFC 5929 §4.1; undefined if it defines none for this certificate. */
  readonly endPoint: ByteString | undefined
}

interface Certificates {
  readonly fallback: Served
  readonly byName: ReadonlyMap<string, Served>
}

export class ServerTls {
  private readonly ciphers: string
  private inForce: Certificates | undefined
  /** What was in force when a handshake began. */
  private readonly given = new WeakMap<TLSSocket, Certificates>()

  constructor(suites: Suites = 'private') {
    const suites12 = ciphersOf[suites].flatMap((cipher) => [`ECDHE-ECDSA-${cipher}`, `ECDHE-RSA-${cipher}`])
    this.ciphers = [...suites13, ...suites12].join(':')
  }

  get available(): boolean {
    return this.inForce !== undefined
  }

  /** All of them or none. Undefined if they are in force now; else why not. */
  give({ pairs, ticketKeys }: TlsOrder): string | undefined {
    let fallback: Served | undefined
    const byName = new Map<string, Served>()
    for (const pair of pairs) {
      try {
        const served = this.serve(pair, toBuffer(ticketKeys))
        fallback ??= served
        for (const name of pair.names) if (!byName.has(name)) byName.set(name, served)
      } catch (error) {
        return `${pair.names[0] ?? 'the default'}: ${describeError(error)}`
      }
    }
    if (fallback === undefined) return 'there is none'
    this.inForce = { fallback, byName }
    return undefined
  }

  /** Begins a handshake as server. RFC 7301: a client that offers protocols and not ours is told so (it believes to speak
   *  to a web server). Throws if there is no certificate. */
  secure(socket: Socket, protocol: string): TLSSocket {
    const certificates = this.inForce
    if (certificates === undefined) throw new Error('no certificate')
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: certificates.fallback.context,
      // Undefined: the default stays. A name that is not ours is no error (RFC 6066 §3): MTAs send what MX says.
      SNICallback: (name, choose) => choose(null, certificates.byName.get(lowerAscii(name))?.context),
      ALPNCallback: ({ protocols }) => (protocols.includes(protocol) ? protocol : undefined),
    })
    this.given.set(secure, certificates)
    return secure
  }

  /** What an authentication on this connection can be bound to, once its handshake is done. */
  bindings(socket: TLSSocket): ChannelBindings {
    const bindings = new Map<BindingName, ByteString>()
    if (socket.destroyed) return bindings
    // RFC 9266 §4.2: with TLS 1.2 only under an extended master secret, which Node does not tell of.
    if (socket.getProtocol() === 'TLSv1.3') {
      const exported = socket.exportKeyingMaterial(exporterBytes, exporterLabel, Buffer.alloc(0))
      bindings.set('tls-exporter', fromBuffer(exported))
    } else if (!socket.isSessionReused()) {
      // RFC 5929 §3: the first Finished, the client's. Without an extended master secret only a resumption's could be forged.
      const finished = socket.getPeerFinished()
      if (finished !== undefined) bindings.set('tls-unique', fromBuffer(finished))
    }
    const endPoint = socket.isSessionReused() ? this.endPointResumed(socket) : endPointOf(socket.getX509Certificate())
    if (endPoint !== undefined) bindings.set('tls-server-end-point', endPoint)
    return bindings
  }

  private serve({ certificatePem, keyPem }: NamedPair, ticketKeys: Buffer): Served {
    const pair = { cert: certificatePem, key: keyPem }
    const context = createSecureContext({ ...pair, ...offered, ciphers: this.ciphers, ticketKeys })
    return { context, endPoint: endPointOf(new X509Certificate(certificatePem)) }
  }

  /** No certificate was sent, and OpenSSL does not choose one: it is the one for the session's name, as ticket keys change
   *  with the certificates. TLS 1.2 does not repeat the name to us: then it can only be told where there is no choice. */
  private endPointResumed(socket: TLSSocket): ByteString | undefined {
    const certificates = this.given.get(socket)
    if (certificates === undefined) return undefined
    const { fallback, byName } = certificates
    if (byName.size === 0) return fallback.endPoint
    if (socket.getProtocol() !== 'TLSv1.3') return undefined
    const name: unknown = socket.servername
    return ((typeof name === 'string' ? byName.get(lowerAscii(name)) : undefined) ?? fallback).endPoint
  }
}

/** Undefined if a server can use the pair; else what is wrong, without a byte of the key. */
export function pairFault(certificatePem: string, keyPem: string): string | undefined {
  const fault = keyPairFault(certificatePem, keyPem)
  if (fault !== undefined) return fault
  try {
    createSecureContext({ cert: certificatePem, key: keyPem, ...offered })
    return undefined
  } catch (error) {
    return describeError(error)
  }
}

/** RFC 5929 §4.1: by the hash of the certificate's own signature, but SHA-256 for SHA-1. Undefined where that signature
 *  has no hash of its own (Ed25519), or one that its name does not tell (RSA-PSS). */
function endPointOf(certificate: X509Certificate | undefined): ByteString | undefined {
  const hash = hashOfSignature.get(certificate?.signatureAlgorithm ?? '')
  if (certificate === undefined || hash === undefined) return undefined
  return fromBuffer(createHash(hash).update(certificate.raw).digest())
}
