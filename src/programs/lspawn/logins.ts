/** lspawn's two sockets for logins: authd announces tickets on one, the front presents them on the other. Both speak
 *  with programs that read the network: their frames are hostile input. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Frame } from '../../contracts/frame.ts'
import {
  decodeLoginRequest,
  decodeTicketRequest,
  encodeOpenReply,
  encodeTicketReply,
  type LoginRequest,
  type TicketReply,
  type TicketRequest,
} from '../../contracts/sessions.ts'
import type { Clock } from '../../system/clock.ts'
import type { FrameConnection, FrameHandlers } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import type { Log } from '../../system/log.ts'
import { checkedAccount } from './checked-account.ts'
import type { Locals } from './locals.ts'
import type { PasswordChecker } from './password-checker.ts'
import type { SessionOpener } from './session-opener.ts'
import type { Tickets } from './tickets.ts'

export interface LoginsSetting {
  readonly tickets: Tickets
  readonly locals: Pick<Locals, 'tellAll'>
  readonly opener: SessionOpener
  readonly checker: PasswordChecker
  readonly clock: Clock
  readonly log: Log
}

export class Logins {
  private readonly setting: LoginsSetting
  private readonly servers: readonly FrameServer[]

  constructor(ticketsFd: number, loginFd: number, setting: LoginsSetting) {
    this.setting = setting
    const { clock, log } = setting
    this.servers = [
      new FrameServer(ticketsFd, {
        socket: 'lspawn-tickets',
        purpose: 'tickets',
        clock,
        log,
        accept: (connection) => handlers((frame) => void this.announced(connection, decodeTicketRequest(frame))),
      }),
      new FrameServer(loginFd, {
        socket: 'lspawn-login',
        purpose: 'login',
        clock,
        log,
        accept: (connection) => handlers((frame) => void this.presented(connection, decodeLoginRequest(frame))),
      }),
    ]
  }

  close(): void {
    for (const server of this.servers) server.close()
  }

  private async announced(connection: FrameConnection, request: TicketRequest): Promise<void> {
    if (request.kind === 'revoke') this.revoke(request.account)
    else connection.send(encodeTicketReply(await this.replyTo(request)))
  }

  private revoke(account: ByteString): void {
    const { tickets, locals } = this.setting
    tickets.revoke(account)
    locals.tellAll({ kind: 'revoke', account })
  }

  private async replyTo(request: Exclude<TicketRequest, { kind: 'revoke' }>): Promise<TicketReply> {
    const { tickets, checker, log } = this.setting
    const { ref, ticket, peer } = request
    if (request.kind === 'admit') {
      const { account } = request
      const added = tickets.add(ticket, { account, holder: { kind: 'account' }, peer })
      return added ? { kind: 'admitted', ref, account } : { kind: 'denied', ref, why: 'temporary' }
    }
    const checked = await checker.check(request.name, request.password)
    if (typeof checked === 'string') return { kind: 'denied', ref, why: checked }
    try {
      const account = await checkedAccount(checked, request.name)
      const added = tickets.add(ticket, { account, holder: { kind: 'user', ...checked }, peer })
      return added ? { kind: 'admitted', ref, account } : { kind: 'denied', ref, why: 'temporary' }
    } catch (error) {
      log(`alert: control/checkpassword: whose account is uid ${checked.uid}: ${describeError(error)}`)
      return { kind: 'denied', ref, why: 'temporary' }
    }
  }

  private async presented(connection: FrameConnection, request: LoginRequest): Promise<void> {
    if (request.kind === 'closing') this.setting.locals.tellAll({ kind: 'close', service: request.service })
    else connection.send(encodeOpenReply(await this.setting.opener.open(request)))
  }
}

function handlers(onFrame: (frame: Frame) => void): FrameHandlers {
  return { onFrame, onClose: () => undefined }
}
