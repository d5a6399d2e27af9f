/** Sessions of users who logged in: the front connects to this process's own socket with a token that lspawn has told
 *  us of.
 *  Knows:  tokens, which service a session is of, how many there may be, when the process may go. Never: what is said in a
 *          session.
 *  Fails:  a connection without a good token is closed without a word: the front tells its client. */
import type { LoginService } from '../../contracts/services.ts'
import { type Server, Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { SessionGrant } from '../../contracts/assign.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import { decodeSessionStart } from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'
import { authorizationError } from '../../protocols/pop3/authorization.ts'
import { loginReplies } from '../../protocols/smtp/login-replies.ts'
import { formatReply } from '../../protocols/smtp/replies.ts'
import { FrameConnection, serveDescriptor } from '../../system/frame-connection.ts'
import { type Log, printable } from '../../system/log.ts'
import type { GrantedSession, RunningSession } from './session.ts'

const grantMillisecondsMax = 30_000
const startMillisecondsMax = 10_000
const lingerMillisecondsMax = 5000
const tickMilliseconds = 1000
const frameLimits = { frameBytesMax: 8 * 1024, unreadBytesMax: 0 }

export interface SessionLimits {
  /** Of all users of this uid together. */
  readonly sessionsMax: number
  readonly sessionsOfAccountMax: number
  /** Connections that have not shown a token yet. */
  readonly waitingMax: number
}
const usualLimits: SessionLimits = { sessionsMax: 2000, sessionsOfAccountMax: 50, waitingMax: 200 }

/** Instead of the first word of a session: the front passes it on. */
const busy: Readonly<Record<LoginService, (extended: boolean) => string>> = {
  submission: (extended) => formatReply(loginReplies.busy, extended),
  pop3: () => authorizationError('busy'),
}

export interface SessionsSetting {
  readonly clock: Clock
  readonly log: Log
  readonly serve: Readonly<Record<LoginService, (session: GrantedSession) => RunningSession>>
  /** The process stays until the returned function is called. */
  hold(): () => void
}

export class Sessions {
  private readonly setting: SessionsSetting
  private readonly limits: SessionLimits
  private readonly grants = new Map<ByteString, { readonly grant: SessionGrant; readonly letGo: () => void }>()
  private readonly running = new Map<RunningSession, SessionGrant>()
  /** By home: a name may be spelt in many ways. */
  private readonly perHome = new Map<ByteString, number>()
  private server: Server | undefined
  private ticking = false
  private stopping = false

  constructor(setting: SessionsSetting, limits: SessionLimits = usualLimits) {
    this.setting = setting
    this.limits = limits
  }

  serve(fd: number): void {
    const { log } = this.setting
    this.server = serveDescriptor(fd, (socket) => this.accept(socket))
    this.server.maxConnections = this.limits.sessionsMax + this.limits.waitingMax
    this.server.on('error', (error) => log(`warning: accept for a session: ${describeError(error)}`))
  }

  /** The process stays until the session has been and gone, or does not come. */
  expect(grant: SessionGrant): void {
    // Whoever comes is refused, and asks lspawn again.
    if (this.stopping) return
    const release = this.setting.hold()
    const cancel = this.setting.clock.after(grantMillisecondsMax, () => letGo())
    const letGo = (): void => {
      cancel()
      if (this.grants.delete(grant.token)) release()
    }
    this.grants.set(grant.token, { grant, letGo })
  }

  /** The process is to end. */
  shutdown(): void {
    this.stopping = true
    this.server?.close()
    for (const { letGo } of [...this.grants.values()]) letGo()
    for (const session of this.running.keys()) session.shutdown()
  }

  /** Whoever logged in as the account may not do so any more. */
  revoke(account: ByteString): void {
    for (const { grant, letGo } of [...this.grants.values()]) if (grant.account === account) letGo()
    for (const [session, grant] of this.running) if (grant.account === account) session.shutdown()
  }

  /** The front of the service stops. */
  close(service: LoginService): void {
    for (const [session, { peer }] of this.running) if (peer.service === service) session.shutdown()
  }

  private accept(socket: Socket): void {
    const { clock, log } = this.setting
    const cancel = clock.after(startMillisecondsMax, () => connection.destroy('no session was started'))
    const onClose = (reason: string): void => {
      cancel()
      if (reason !== '') log(`warning: connection for a session closed: ${reason}`)
    }
    const onFirst = (first: Frame): void => {
      if (decodeHello(first).purpose !== 'session') throw new ContractError('not a session')
      connection.handOver({
        onFrame: (frame) => {
          cancel()
          this.start(connection, frame)
        },
        onClose,
      })
    }
    const connection: FrameConnection = new FrameConnection(socket, { onFrame: onFirst, onClose }, frameLimits)
  }

  private start(connection: FrameConnection, frame: Frame): void {
    const { token, facts } = decodeSessionStart(frame)
    if (this.stopping) throw new ContractError('the process ends')
    const expected = this.grants.get(token)
    if (expected === undefined) {
      this.setting.log('alert: login shows a token that is not good')
      throw new ContractError('no such token')
    }
    const { grant, letGo } = expected
    const socket = connection.release()
    if (!(socket instanceof Socket)) throw new Error('a session comes over a socket')
    const ofAccount = this.perHome.get(grant.home) ?? 0
    if (this.running.size >= this.limits.sessionsMax || ofAccount >= this.limits.sessionsOfAccountMax) {
      letGo()
      this.refuse(socket, busy[grant.peer.service](facts.extended))
      return this.setting.log(`refused a session of ${printable(grant.account)}: ${ofAccount} of ${this.running.size}`)
    }
    const release = this.setting.hold()
    letGo()
    try {
      this.run({ grant, facts, socket }, release)
    } catch (error) {
      // Nobody else would ever close it, or let the process go.
      socket.destroy()
      release()
      this.setting.log(`alert: bug: a session of ${printable(grant.account)}: ${describeError(error)}`)
    }
  }

  private run(granted: GrantedSession, release: () => void): void {
    const { home, peer } = granted.grant
    const session = this.setting.serve[peer.service](granted)
    this.running.set(session, granted.grant)
    this.perHome.set(home, (this.perHome.get(home) ?? 0) + 1)
    this.tickLater()
    void session.ended.then(() => {
      this.running.delete(session)
      this.leave(home)
      release()
    })
  }

  private refuse(socket: Socket, words: string): void {
    const cancel = this.setting.clock.after(lingerMillisecondsMax, () => socket.destroy())
    socket.once('close', cancel)
    socket.resume()
    socket.end(words, 'latin1')
  }

  private leave(home: ByteString): void {
    const left = (this.perHome.get(home) ?? 1) - 1
    if (left > 0) this.perHome.set(home, left)
    else this.perHome.delete(home)
  }

  private tickLater(): void {
    if (this.ticking) return
    this.ticking = true
    this.setting.clock.after(tickMilliseconds, () => {
      this.ticking = false
      for (const session of this.running.keys()) session.tick()
      if (this.running.size > 0) this.tickLater()
    })
  }
}
