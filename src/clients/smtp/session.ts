/** From an address to a server that is ready for MAIL: connect, greeting, EHLO or HELO, TLS, AUTH.
 *  Knows:  the order of these steps and their times (RFC 5321 §4.5.3.2), what is forgotten after STARTTLS (RFC 3207 §4.2).
 *  Never:  sends a password in clear, or goes on in clear where TLS is demanded.
 *  Fails:  with a report, and whether another address may be asked. */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { remoteTexts } from '../../protocols/qmail/remote-texts.ts'
import { type Capabilities, noCapabilities, parseCapabilities } from '../../protocols/smtp/capabilities.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'
import { connectTo, hungUp, type SmtpConnection, type TimeLimits } from './connection.ts'
import type { Deadlines } from './deadlines.ts'
import { logIn } from './login.ts'
import type { Target } from './mail-exchangers.ts'
import { replyMilliseconds } from './reply-times.ts'
import type { Login } from './secrets.ts'
import type { TlsContexts, TlsPlan } from './tls-plan.ts'

export interface SessionWish {
  readonly target: Target
  readonly helo: ByteString
  readonly tls: TlsPlan
  readonly login: Login | undefined
  readonly connectMilliseconds: number
  readonly limits: TimeLimits
}

export interface Session {
  readonly connection: SmtpConnection
  readonly offered: Capabilities
}

export type Opened =
  | { readonly kind: 'ready'; readonly session: Session }
  /** No connection: another address may be tried; qmail has no report for a single one. */
  | { readonly kind: 'unreachable'; readonly timedOut: boolean }
  /** Connected, but it did not greet us: another address may be tried. */
  | { readonly kind: 'unwilling'; readonly report: ByteString }
  /** An answer that holds for the message: no other address is tried. */
  | { readonly kind: 'refused'; readonly report: ByteString }
  /** TLS that nobody demanded failed: the same address may be tried in clear, on a new connection. */
  | { readonly kind: 'handshakeFailed'; readonly why: string; readonly report: ByteString }

type Failed = Exclude<Opened, { kind: 'ready' | 'unreachable' }>
type Step<T> = { readonly kind: 'ok'; readonly value: T } | Failed
/** It hung up on EHLO: some old servers take a HELO on a new connection. */
type HungUp = { readonly kind: 'hungUp'; readonly failed: Failed }

export async function openSession(wish: SessionWish, contexts: TlsContexts, deadlines: Deadlines): Promise<Opened> {
  const opened = await tryOpen(wish, contexts, deadlines, 'EHLO')
  if (opened.kind !== 'hungUp') return opened
  if (wish.tls.use === 'required') return opened.failed
  const again = await tryOpen(wish, contexts, deadlines, 'HELO')
  return again.kind === 'ready' ? again : opened.failed
}

async function tryOpen(
  wish: SessionWish,
  contexts: TlsContexts,
  deadlines: Deadlines,
  hello: 'EHLO' | 'HELO',
): Promise<Opened | HungUp> {
  const { target, limits } = wish
  const left = limits.totalDeadline - deadlines.clock.monotonic()
  if (left <= 0) return { kind: 'unreachable', timedOut: false }
  const connected = await connectTo(target, Math.min(wish.connectMilliseconds, left), deadlines)
  if (connected.kind === 'failed') return { kind: 'unreachable', timedOut: connected.timedOut }
  const { connection } = connected
  connection.useLimits(limits)
  const offered = await greet(connection, wish, contexts, hello)
  if (offered.kind !== 'ok') {
    connection.quit()
    return offered
  }
  const refusal = wish.login === undefined ? undefined : await logIn(connection, offered.value, wish.login)
  if (refusal !== undefined) {
    connection.quit()
    return { kind: 'refused', report: refusal }
  }
  return { kind: 'ready', session: { connection, offered: offered.value } }
}

async function greet(
  connection: SmtpConnection,
  wish: SessionWish,
  contexts: TlsContexts,
  hello: 'EHLO' | 'HELO',
): Promise<Step<Capabilities> | HungUp> {
  const { address } = wish.target
  if (wish.tls.implicit) {
    const trouble = await handshake(connection, wish, contexts)
    if (trouble !== undefined) return trouble
  }
  const greeting = await connection.reply(replyMilliseconds.greeting)
  if (greeting === undefined) return { kind: 'unwilling', report: remoteTexts.died(address) }
  if (greeting.code !== 220) return { kind: 'unwilling', report: remoteTexts.greetingFailed(address, greeting.text) }
  const offered = hello === 'EHLO' ? await sayHello(connection, wish) : await sayPlainHello(connection, wish)
  if (offered.kind !== 'ok' || connection.encrypted) return offered
  return startTls(connection, offered.value, wish, contexts)
}

/** EHLO, and HELO if that is not answered with 250. */
async function sayHello(connection: SmtpConnection, wish: SessionWish): Promise<Step<Capabilities> | HungUp> {
  const reply = await ask(connection, `EHLO ${wish.helo}\r\n`)
  if (reply?.code === 250) return { kind: 'ok', value: parseCapabilities(reply.text) }
  return reply === undefined ? noHello(connection) : sayPlainHello(connection, wish, reply)
}

/** `before`: what it said to EHLO, the better report if it says nothing now. */
async function sayPlainHello(
  connection: SmtpConnection,
  wish: SessionWish,
  before?: Reply,
): Promise<Step<Capabilities> | HungUp> {
  const reply = await ask(connection, `HELO ${wish.helo}\r\n`)
  if (reply?.code === 250) return { kind: 'ok', value: noCapabilities }
  return reply === undefined ? noHello(connection, before) : rejectedName(connection, reply)
}

function rejectedName(connection: SmtpConnection, reply: Reply): Failed {
  return { kind: 'refused', report: remoteTexts.nameRejected(connection.target.address, reply.text) }
}

function noHello(connection: SmtpConnection, before?: Reply): Failed | HungUp {
  const failed: Failed =
    before === undefined
      ? { kind: 'unwilling', report: remoteTexts.died(connection.target.address) }
      : rejectedName(connection, before)
  return connection.lostBecause === hungUp ? { kind: 'hungUp', failed } : failed
}

async function startTls(
  connection: SmtpConnection,
  offered: Capabilities,
  wish: SessionWish,
  contexts: TlsContexts,
): Promise<Step<Capabilities>> {
  const { use } = wish.tls
  const { address } = wish.target
  if (use === 'never') return { kind: 'ok', value: offered }
  if (!offered.startTls) {
    if (use === 'opportunistic') return { kind: 'ok', value: offered }
    return { kind: 'refused', report: remoteTexts.noTls(address, 'it offers no TLS, which is demanded') }
  }
  connection.send('STARTTLS\r\n', 1)
  const go = await connection.reply(replyMilliseconds.startTls)
  if (go === undefined) return withoutTls(wish, 'no answer to STARTTLS', remoteTexts.died(address))
  if (go.code !== 220) {
    if (use === 'opportunistic') return { kind: 'ok', value: offered }
    return { kind: 'refused', report: remoteTexts.noTls(address, 'STARTTLS was refused', go.text) }
  }
  if (!connection.inStep) {
    // Bytes behind the 220 came in clear: somebody in between wants them taken for the server's (response injection).
    connection.drop()
    return { kind: 'refused', report: remoteTexts.died(address) }
  }
  const trouble = await handshake(connection, wish, contexts)
  if (trouble !== undefined) return trouble
  const again = await sayHello(connection, wish)
  return again.kind === 'hungUp' ? again.failed : again
}

/** Undefined: the connection is encrypted. */
async function handshake(
  connection: SmtpConnection,
  wish: SessionWish,
  contexts: TlsContexts,
): Promise<Failed | undefined> {
  const why = await secure(connection, wish, contexts)
  if (why === '') return undefined
  connection.drop()
  return withoutTls(wish, why, remoteTexts.noTls(wish.target.address, `TLS failed: ${why.replace(/[^ -~]/g, '?')}`))
}

function withoutTls(wish: SessionWish, why: string, report: ByteString): Failed {
  return wish.tls.use === 'opportunistic' ? { kind: 'handshakeFailed', why, report } : { kind: 'refused', report }
}

async function secure(connection: SmtpConnection, wish: SessionWish, contexts: TlsContexts): Promise<string> {
  try {
    return await connection.secure(contexts.options(wish.target, wish.tls), replyMilliseconds.handshake)
  } catch (error) {
    return describeError(error)
  }
}

function ask(connection: SmtpConnection, command: ByteString): Promise<Reply | undefined> {
  connection.send(command, 1)
  return connection.reply(replyMilliseconds.hello)
}
