/** Sessions of users who logged in: the front connects to this process's own socket with a token that lspawn has told
 *  us of.
 *  Knows:  tokens, which service a session is of, when the process may go. Never: what is said in a session.
 *  Fails:  a connection without a good token is closed without a word: the front tells its client. */
import { type Server, Socket } from 'node:net'
import type { ByteString } from '../../base/byte-string.ts'
import type { SessionGrant } from '../../contracts/assign.ts'
import { ContractError, type Frame } from '../../contracts/frame.ts'
import { decodeHello } from '../../contracts/hello.ts'
import { decodeSessionStart, type SessionService } from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'
import { FrameConnection, serveDescriptor } from '../../system/frame-connection.ts'
import type { Log } from '../../system/log.ts'
import type { GrantedSession, RunningSession } from './session.ts'

const grantMillisecondsMax = 30_000
const startMillisecondsMax = 10_000
const tickMilliseconds = 1000
/** Of all users of this uid together. */
const sessionsMax = 2000
const sessionsOfAccountMax = 50

export interface SessionsSetting {
  readonly clock: Clock
  readonly log: Log
  readonly serve: Readonly<Record<SessionService, (session: GrantedSession) => RunningSession>>
  /** The process stays until the returned function is called. */
  hold(): () => void
}

export class Sessions {
  private readonly setting: SessionsSetting
  private readonly grants = new Map<ByteString, { readonly grant: SessionGrant; readonly letGo: () => void }>()
  private readonly running = new Set<RunningSession>()
  private readonly perAccount = new Map<ByteString, number>()
  private server: Server | undefined
  private ticking = false

  constructor(setting: SessionsSetting) {
    this.setting = setting
  }

  serve(fd: number): void {
    this.server = serveDescriptor(fd, (socket) => this.accept(socket))
  }

  /** The process stays until the session has been and gone, or does not come. */
  expect(grant: SessionGrant): void {
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
    this.server?.close()
    for (const { letGo } of [...this.grants.values()]) letGo()
    for (const session of this.running) session.shutdown()
  }

  private accept(socket: Socket): void {
    const { clock, log } = this.setting
    const cancel = clock.after(startMillisecondsMax, () => connection.destroy('no session was started'))
    const onClose = (reason: string): void => {
      cancel()
      if (reason !== '') log(`warning: connection for a session closed: ${reason}`)
    }
    const connection: FrameConnection = new FrameConnection(socket, {
      onFrame: (first) => {
        if (decodeHello(first).purpose !== 'session') throw new ContractError('not a session')
        connection.handOver({
          onFrame: (frame) => {
            cancel()
            this.start(connection, frame)
          },
          onClose,
        })
      },
      onClose,
    })
  }

  private start(connection: FrameConnection, frame: Frame): void {
    const { token, facts } = decodeSessionStart(frame)
    const expected = this.grants.get(token)
    if (expected === undefined) throw new ContractError('no such token')
    const { grant, letGo } = expected
    const ofAccount = this.perAccount.get(grant.account) ?? 0
    if (this.running.size >= sessionsMax || ofAccount >= sessionsOfAccountMax) {
      letGo()
      throw new ContractError(`too many sessions: ${this.running.size}, ${ofAccount} of them this account's`)
    }
    const socket = connection.release()
    if (!(socket instanceof Socket)) throw new Error('a session comes over a socket')
    const release = this.setting.hold()
    letGo()
    this.perAccount.set(grant.account, ofAccount + 1)
    const session = this.setting.serve[grant.peer.service]({ grant, facts, socket })
    this.running.add(session)
    this.tickLater()
    void session.ended.then(() => {
      this.running.delete(session)
      this.leave(grant.account)
      release()
    })
  }

  private leave(account: ByteString): void {
    const left = (this.perAccount.get(account) ?? 1) - 1
    if (left > 0) this.perAccount.set(account, left)
    else this.perAccount.delete(account)
  }

  private tickLater(): void {
    if (this.ticking) return
    this.ticking = true
    this.setting.clock.after(tickMilliseconds, () => {
      this.ticking = false
      for (const session of this.running) session.tick()
      if (this.running.size > 0) this.tickLater()
    })
  }
}
