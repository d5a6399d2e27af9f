/** Contexts for TLS connections. Making one parses certificates, and the machine's are hundreds: contexts are made once and
 *  kept. */
import { isIP } from 'node:net'
import {
  checkServerIdentity,
  type ConnectionOptions,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import { describeError } from '../../base/outcome.ts'
import type { Target } from './mail-exchangers.ts'
import { type TlsPlan, type Voucher, voucherKey } from './tls-plan.ts'
import { certificatesIn } from './tlsa-match.ts'

const contextsMax = 100
const anchorsMax = 1_000

export class TlsContexts {
  private readonly contexts = new Map<string, SecureContext>()
  /** Certificates of authorities that TLSA records name by a digest, by the voucher. */
  private readonly anchors = new Map<string, string>()
  private readonly onProblem: (problem: string) => void
  private readonly machineAuthorities: () => string[]

  /** `machineAuthorities`: certificates of those that this machine trusts. */
  constructor(onProblem: (problem: string) => void, machineAuthorities: () => string[] = authoritiesOfMachine) {
    this.onProblem = onProblem
    this.machineAuthorities = machineAuthorities
  }

  /** Throws if the file in tlshosts/ holds no certificate. */
  options(target: Target, plan: TlsPlan): ConnectionOptions {
    const { voucher } = plan
    const options: ConnectionOptions = {
      secureContext: this.contextOf(voucher, plan.clientPem),
      rejectUnauthorized: voucher.kind === 'authorities' && !plan.isOnlyReported,
      host: target.name,
    }
    if (voucher.kind === 'tlsa') options.checkServerIdentity = (_, certificate) => oneOf(voucher.names, certificate)
    // RFC 6066 §3: no address in the server name indication.
    const servername = voucher.kind === 'tlsa' ? (voucher.names[0] ?? target.name) : target.name
    return isIP(servername) === 0 ? { ...options, servername } : options
  }

  /** Of the machine's authorities. */
  ofMachine(): SecureContext {
    return this.contextOf({ kind: 'authorities', pem: undefined }, undefined)
  }

  /** Keeps the certificate of an authority that a TLSA record names, to judge what it has signed. False: it was known. */
  learnAnchor(plan: TlsPlan, pem: string): boolean {
    const key = voucherKey(plan.voucher)
    if (this.anchors.get(key) === pem) return false
    if (this.anchors.size >= anchorsMax) this.anchors.clear()
    this.anchors.set(key, pem)
    return true
  }

  private contextOf(voucher: Voucher, clientPem: string | undefined): SecureContext {
    const anchor = voucher.kind === 'tlsa' ? this.anchors.get(voucherKey(voucher)) : undefined
    const key = `${voucherKey(voucher)}\n${anchor ?? ''}\n${clientPem ?? ''}`
    const context = this.contexts.get(key) ?? this.make(this.trustIn(voucher, anchor), clientPem)
    // The one used longest ago goes: that of the machine's authorities is dear, and every host with TLSA records has its own.
    this.contexts.delete(key)
    for (const oldest of this.contexts.keys()) {
      if (this.contexts.size < contextsMax) break
      this.contexts.delete(oldest)
    }
    this.contexts.set(key, context)
    return context
  }

  private trustIn(voucher: Voucher, anchor: string | undefined): SecureContextOptions {
    if (voucher.kind === 'nobody') return {}
    if (voucher.kind === 'authorities') return { ca: voucher.pem ?? this.machineAuthorities() }
    const anchors = [...certificatesIn(voucher.records), ...(anchor === undefined ? [] : [anchor])]
    // Only these, even if there are none. An authority that a record names need not be a root.
    return { ca: anchors, allowPartialTrustChain: true }
  }

  private make(trust: SecureContextOptions, clientPem: string | undefined): SecureContext {
    const options = { minVersion: 'TLSv1.2', ...trust } as const
    if (clientPem === undefined) return createSecureContext(options)
    try {
      return createSecureContext({ ...options, cert: clientPem, key: clientPem })
    } catch (error) {
      // Without a certificate of ours TLS is better than no TLS; a server that insists on one will say so.
      this.onProblem(`control/clientcert.pem: ${describeError(error)}; not shown to servers`)
      return createSecureContext(options)
    }
  }
}

function oneOf(
  names: readonly string[],
  certificate: Parameters<typeof checkServerIdentity>[1],
): ReturnType<typeof checkServerIdentity> {
  const faults = names.map((name) => checkServerIdentity(name, certificate))
  return faults.includes(undefined) ? undefined : faults[0]
}

/** The system's store, and where it has none the one that comes with Node. */
function authoritiesOfMachine(): string[] {
  const system = getCACertificates('system')
  return system.length > 0 ? system : getCACertificates('default')
}
