/** Whether and how a connection is encrypted (the rules of qmail's TLS patch, and decision: opportunistic and unverified
 *  unless somebody demands more).
 *  Knows:  tlshosts/, notlshosts/, exhaustivelist, a smarthost's password, REQUIRETLS.
 *  Never:  reads a file. */
import { isIP } from 'node:net'
import { type ConnectionOptions, createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { describeError } from '../../base/outcome.ts'
import { smtpsPort } from '../../protocols/qmail/smtproutes.ts'
import type { Target } from './mail-exchangers.ts'

/** What the control directory says of one host. */
export interface TlsFacts {
  /** tlshosts/NAME.pem: the CA certificates that must have signed this host's. */
  readonly hostCaPem: string | undefined
  /** tlshosts/exhaustivelist: no TLS but with hosts that have such a file. */
  readonly exhaustive: boolean
  /** notlshosts/NAME. */
  readonly forbidden: boolean
  /** clientcert.pem: certificate and key that we show. */
  readonly clientPem: string | undefined
}

export interface TlsPlan {
  readonly use: 'never' | 'opportunistic' | 'required'
  readonly verify: boolean
  /** TLS before the greeting. */
  readonly implicit: boolean
  readonly hostCaPem: string | undefined
  readonly clientPem: string | undefined
}

export function planTls(target: Target, facts: TlsFacts, needs: { login: boolean; requireTls: boolean }): TlsPlan {
  const implicit = target.port === smtpsPort
  const verify = facts.hostCaPem !== undefined || needs.login || needs.requireTls
  const unwanted = facts.forbidden || facts.exhaustive
  const use = verify || implicit ? 'required' : unwanted ? 'never' : 'opportunistic'
  return { use, verify, implicit, hostCaPem: facts.hostCaPem, clientPem: facts.clientPem }
}

/** Plans that are equal here may share a connection. */
export function planKey(plan: TlsPlan): string {
  return `${plan.use} ${plan.verify} ${plan.implicit} ${plan.hostCaPem ?? ''} ${plan.clientPem ?? ''}`
}

/** Making a context parses certificates, and the system's are hundreds: they are made once and kept. */
const contextsMax = 100

export class TlsContexts {
  private readonly contexts = new Map<string, SecureContext>()
  private readonly onProblem: (problem: string) => void

  constructor(onProblem: (problem: string) => void) {
    this.onProblem = onProblem
  }

  /** Throws if the file in tlshosts/ holds no certificate. */
  options(target: Target, plan: TlsPlan): ConnectionOptions {
    const options: ConnectionOptions = {
      secureContext: this.context(plan),
      rejectUnauthorized: plan.verify,
      host: target.name,
    }
    // RFC 6066 §3: no address in the server name indication.
    return isIP(target.name) === 0 ? { ...options, servername: target.name } : options
  }

  private context(plan: TlsPlan): SecureContext {
    const key = planKey(plan)
    const known = this.contexts.get(key)
    if (known !== undefined) return known
    const context = this.make(plan)
    if (this.contexts.size >= contextsMax) this.contexts.clear()
    this.contexts.set(key, context)
    return context
  }

  private make(plan: TlsPlan): SecureContext {
    const { clientPem, hostCaPem } = plan
    const trusted = hostCaPem !== undefined ? { ca: hostCaPem } : plan.verify ? { ca: systemCertificates() } : undefined
    const options = { minVersion: 'TLSv1.2', ...trusted } as const
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

/** The system's store, and where it has none the one that comes with Node. */
function systemCertificates(): string[] {
  const system = getCACertificates('system')
  return system.length > 0 ? system : getCACertificates('default')
}
