/** The front of a service on a real socket in this process, up to the login; who asks is never let in. */
import type { LoginService } from '../../src/contracts/services.ts'
import { createServer, type Server } from 'node:net'
import type { AuthAttempt, AuthChallenge, AuthStep } from '../../src/clients/auth/auth-client.ts'
import type { TlsOrder } from '../../src/contracts/supervise.ts'
import { limits as usualLimits, type LoginLimits } from '../../src/programs/login/limits.ts'
import { LoginDialogue } from '../../src/programs/login/login-dialogue.ts'
import { Pop3Login } from '../../src/programs/login/pop3-login.ts'
import { SmtpLogin } from '../../src/programs/login/smtp-login.ts'
import { Connections } from '../../src/servers/listener/connections.ts'
import { baseEnvironment } from '../../src/servers/listener/peer.ts'
import { realClock as clock } from '../../src/system/clock.ts'
import { ServerTls } from '../../src/system/server-tls.ts'

export class LoginServer {
  readonly connections: Connections
  readonly log: string[] = []
  /** What was to be judged: by it, a password that was sent in clear would be seen. */
  readonly asked: AuthAttempt[] = []
  private readonly server: Server

  constructor(service: LoginService, tlsOrder: TlsOrder | undefined, changed: Partial<LoginLimits> = {}) {
    const limits = { ...usualLimits, failureDelayMilliseconds: 0, ...changed }
    const log = (line: string): void => void this.log.push(line)
    const tls = new ServerTls()
    if (tlsOrder !== undefined) tls.give(tlsOrder)
    const say = (): string => ''
    const protocol = () =>
      service === 'pop3'
        ? new Pop3Login({ greeting: 'lab.test', capabilities: [] })
        : new SmtpLogin({ greeting: 'lab.test', databytes: 0, capabilities: undefined, brokenClients: false })
    const auth = { mechanisms: () => ['PLAIN', 'LOGIN'], begin: (attempt: AuthAttempt) => this.checkAddresses(attempt) }
    const sessions = {
      begin: () => Promise.resolve({ kind: 'refused', why: 'unknown', logText: 'nobody comes in' } as const),
    }
    this.connections = new Connections(limits, clock, log, {
      isProxy: () => false,
      say,
      settingFor(peer) {
        const environment = baseEnvironment(peer, { me: 'lab.test' })
        const shared = { environment, limits, clock, log, tls }
        const setting = { ...shared, auth, sessions, peer, service, triesMax: 5 }
        const open = (port: ConstructorParameters<typeof LoginDialogue>[1]) =>
          new LoginDialogue({ ...setting, protocol: protocol() }, port)
        return { ...shared, protocol: service === 'pop3' ? 'pop3' : 'smtp', implicitTls: false, open, say }
      },
    })
    this.server = createServer({ noDelay: true }, (socket) => this.connections.accept(socket))
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    const address = this.server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  async stop(): Promise<void> {
    this.server.close()
    await this.connections.stop()
  }

  private checkAddresses(attempt: AuthAttempt): Promise<AuthStep> {
    this.asked.push(attempt)
    if (attempt.initial !== undefined) return Promise.resolve({ kind: 'rejected', why: 'credentials' })
    const challenge: AuthChallenge = {
      kind: 'challenge',
      data: '',
      respond: () => Promise.resolve({ kind: 'rejected', why: 'credentials' }),
      cancel: () => undefined,
    }
    return Promise.resolve(challenge)
  }
}
