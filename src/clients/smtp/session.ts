/** From an address to a server that is ready for MAIL: connect, greeting, EHLO or HELO, TLS, AUTH.
 *  Knows:  the order of these steps and their times (RFC 5321 §4.5.3.2), what is forgotten after STARTTLS (RFC 3207 §4.2).
 *  Never:  sends a password in clear, or goes on in clear where TLS is demanded.
 *  Fails:  with a status, and whether another address may be asked: it may, unless we were refused for a reason that holds
 *          for each (a password, TLS that is demanded). */
import type { ByteString } from '../../base/byte-string.ts'
import { describeError, type Status } from '../../base/outcome.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import { type Capabilities, noCapabilities, parseCapabilities } from '../../protocols/smtp/capabilities.ts'
import { introducedName } from '../../protocols/smtp/introduced-name.ts'
import { closingCode } from '../../protocols/smtp/refusal.ts'
import type { Reply } from '../../protocols/smtp/reply-parser.ts'
import { connectTo, hungUp, type SmtpConnection, type TimeLimits, type TlsTrouble } from './connection.ts'
import type { Deadlines } from './deadlines.ts'
import { logIn } from './login.ts'
import type { Target } from './mail-exchangers.ts'
import { replyMilliseconds } from './reply-times.ts'
import type { Login } from './secrets.ts'
import type { TlsContexts } from './tls-contexts.ts'
import { judgePeer, type TlsFact, tlsFailureOf } from './tls-judgement.ts'
import type { TlsPlan } from './tls-plan.ts'

export interface SessionWish {
  readonly target: Target
  readonly helo: ByteString
  readonly tls: TlsPlan
  readonly login: Login | undefined
  /** Extensions that are not used with this host, in capitals; `EHLO`: none of them. */
  readonly unwanted: ReadonlySet<string>
  /** Names that only we have, in lower case: a server with one is this host. */
  readonly ownNames: ReadonlySet<string>
  readonly connectMilliseconds: number
  readonly limits: TimeLimits
  /** A connection on which something came that is no reply. */
  readonly onMisread: (connection: SmtpConnection) => void
  /** The outcome of TLS, once a connection, where TLS was wanted. */
  readonly onTls: (fact: TlsFact, connection: SmtpConnection) => void
}

export interface Session {
  readonly connection: SmtpConnection
  readonly offered: Capabilities
}

export type Opened =
  | { readonly kind: 'ready'; readonly session: Session }
  /** No connection: another address may be tried; qmail has no text for a single one. */
  | { readonly kind: 'unreachable'; readonly timedOut: boolean }
  /** Connected, but it will not talk to us now, or not like this: another address may be tried. */
  | { readonly kind: 'unwilling'; readonly status: Status }
  /** An answer that holds for every address: no other is tried. */
  | { readonly kind: 'refused'; readonly status: Status }
  /** It is this host: addresses that come after it are no better. */
  | { readonly kind: 'ourselves'; readonly status: Status }
  /** Opportunistic TLS failed: the same address may be tried in clear, on a new connection. */
  | { readonly kind: 'handshakeFailed'; readonly why: string; readonly status: Status }

type Failed = Exclude<Opened, { kind: 'ready' | 'unreachable' }>
type Step<T> = { readonly kind: 'ok'; readonly value: T } | Failed
/** No answer to EHLO or HELO. Where it hung up on EHLO: some old servers take a HELO on a new connection. */
type Silent = { readonly kind: 'silent'; readonly failed: Failed }

/** A TLSA record names an authority whose certificate has just been seen: on a new connection its signatures can be judged. */
type Again = { readonly kind: 'again' }

/** EHLO is not implemented (RFC 5321 §4.2.2): HELO may be. Any other refusal is of this client, or temporary. */
const notImplemented: readonly number[] = [500, 502, 504]

export async function openSession(wish: SessionWish, contexts: TlsContexts, deadlines: Deadlines): Promise<Opened> {
  const hello = wish.unwanted.has('EHLO') ? 'HELO' : 'EHLO'
  const first = await tryOpen(wish, contexts, deadlines, hello)
  const opened = first.kind === 'again' ? await tryOpen(wish, contexts, deadlines, hello) : first
  if (opened.kind === 'again') return unsteady(wish)
  if (opened.kind !== 'silent') return opened
  if (wish.tls.use === 'required' || !opened.hungUp) return opened.failed
  const again = await tryOpen(wish, contexts, deadlines, 'HELO')
  return again.kind === 'silent' || again.kind === 'unreachable' || again.kind === 'again' ? opened.failed : again
}

/** Each connection shows another authority. */
function unsteady(wish: SessionWish): Failed {
  return {
    kind: 'unwilling',
    status: remoteStatus.noTls(wish.target, 'TLS failed: it shows one certificate, then another'),
  }
}

async function tryOpen(
  wish: SessionWish,
  contexts: TlsContexts,
  deadlines: Deadlines,
  hello: 'EHLO' | 'HELO',
): Promise<Opened | (Silent & { readonly hungUp: boolean }) | Again> {
  const { target, limits } = wish
  const left = limits.totalDeadline - deadlines.clock.monotonic()
  if (left <= 0) return { kind: 'unreachable', timedOut: false }
  const connected = await connectTo(target, Math.min(wish.connectMilliseconds, left), deadlines)
  if (connected.kind === 'failed') return { kind: 'unreachable', timedOut: connected.timedOut }
  const { connection } = connected
  connection.useLimits(limits)
  const offered = await greet(connection, wish, contexts, hello)
  if (offered.kind !== 'ok') {
    const hungUpSilently = connection.lostBecause === hungUp && hello === 'EHLO'
    connection.quit()
    wish.onMisread(connection)
    return offered.kind === 'silent' ? { ...offered, hungUp: hungUpSilently } : offered
  }
  const refusal = wish.login === undefined ? undefined : await logIn(connection, offered.value, wish.login)
  if (refusal !== undefined) {
    connection.quit()
    return refusal
  }
  return { kind: 'ready', session: { connection, offered: offered.value } }
}

async function greet(
  connection: SmtpConnection,
  wish: SessionWish,
  contexts: TlsContexts,
  hello: 'EHLO' | 'HELO',
): Promise<Step<Capabilities> | Silent | Again> {
  const { target } = wish
  if (wish.tls.implicit) {
    const trouble = await handshake(connection, wish, contexts)
    if (trouble !== undefined) return trouble
  }
  const greeting = await connection.reply(replyMilliseconds.greeting)
  if (greeting === undefined) return { kind: 'unwilling', status: remoteStatus.died(target) }
  if (greeting.code !== 220) return { kind: 'unwilling', status: remoteStatus.greetingFailed(target, greeting) }
  if (isOurName(greeting, wish)) return ourselves(connection)
  const offered = hello === 'EHLO' ? await sayHello(connection, wish) : await sayPlainHello(connection, wish)
  if (offered.kind !== 'ok' || connection.secured !== undefined) return offered
  return startTls(connection, offered.value, wish, contexts)
}

/** EHLO, and HELO where that is not implemented. */
async function sayHello(connection: SmtpConnection, wish: SessionWish): Promise<Step<Capabilities> | Silent> {
  const reply = await connection.hello(`EHLO ${wish.helo}\r\n`, replyMilliseconds.hello)
  if (reply === undefined) return silent(connection)
  if (notImplemented.includes(reply.code)) return sayPlainHello(connection, wish, reply)
  if (reply.code !== 250) return rejectedName(connection, reply)
  if (isOurName(reply, wish)) return ourselves(connection)
  return { kind: 'ok', value: parseCapabilities(reply.text, wish.unwanted) }
}

/** `before`: what it said to EHLO, the better status if it says nothing now. */
async function sayPlainHello(
  connection: SmtpConnection,
  wish: SessionWish,
  before?: Reply,
): Promise<Step<Capabilities> | Silent> {
  const reply = await connection.hello(`HELO ${wish.helo}\r\n`, replyMilliseconds.hello)
  if (reply === undefined) return silent(connection, before)
  if (reply.code !== 250) return rejectedName(connection, reply)
  return isOurName(reply, wish) ? ourselves(connection) : { kind: 'ok', value: noCapabilities }
}

function isOurName(reply: Reply, wish: SessionWish): boolean {
  const name = introducedName(reply.text)
  return name !== undefined && wish.ownNames.has(name)
}

function ourselves(connection: SmtpConnection): Failed {
  return { kind: 'ourselves', status: remoteStatus.ourselves(connection.target) }
}

function rejectedName(connection: SmtpConnection, reply: Reply): Failed {
  return { kind: 'unwilling', status: remoteStatus.nameRejected(connection.target, reply) }
}

function silent(connection: SmtpConnection, before?: Reply): Silent {
  const died: Failed = { kind: 'unwilling', status: remoteStatus.died(connection.target) }
  return { kind: 'silent', failed: before === undefined ? died : rejectedName(connection, before) }
}

async function startTls(
  connection: SmtpConnection,
  offered: Capabilities,
  wish: SessionWish,
  contexts: TlsContexts,
): Promise<Step<Capabilities> | Again> {
  const { use, demandedBy } = wish.tls
  const { target } = wish
  if (use === 'never') return { kind: 'ok', value: offered }
  if (!offered.startTls) {
    wish.onTls({ kind: 'starttls-not-supported', why: 'EHLO offers no STARTTLS' }, connection)
    if (use === 'opportunistic') return { kind: 'ok', value: offered }
    const who = demandedBy === '' ? 'which is demanded' : `which is demanded by ${demandedBy}`
    return demandUnmet(wish, remoteStatus.noTls(target, `it offers no TLS, ${who}`))
  }
  connection.send('STARTTLS\r\n', 1)
  const go = await connection.reply(replyMilliseconds.startTls)
  if (go === undefined) return withoutTls(wish, 'no answer to STARTTLS', remoteStatus.died(target))
  if (go.code === closingCode)
    return { kind: 'unwilling', status: remoteStatus.noTls(target, 'STARTTLS was refused', go) }
  if (go.code !== 220) {
    wish.onTls({ kind: 'starttls-not-supported', why: `STARTTLS was refused: ${go.code}` }, connection)
    if (use === 'opportunistic') return { kind: 'ok', value: offered }
    return demandUnmet(wish, remoteStatus.noTls(target, 'STARTTLS was refused', go))
  }
  if (!connection.inStep) {
    // Bytes after the 220 came in clear: an attacker in between wants them taken for the server's (response injection).
    connection.drop()
    return { kind: 'refused', status: remoteStatus.died(target) }
  }
  const trouble = await handshake(connection, wish, contexts)
  if (trouble !== undefined) return trouble
  const again = await sayHello(connection, wish)
  if (again.kind !== 'silent') return again
  // In TLS 1.3 the handshake is over for us before the server has judged it: it may want a certificate of ours.
  const { lostBecause } = connection
  connection.drop()
  return withoutTls(wish, `no answer in TLS: ${lostBecause}`, remoteStatus.died(target))
}

/** Undefined: the connection is encrypted, and the plan's voucher vouches for the other side. */
async function handshake(
  connection: SmtpConnection,
  wish: SessionWish,
  contexts: TlsContexts,
): Promise<Failed | Again | undefined> {
  const trouble = await secure(connection, wish, contexts)
  if (trouble === undefined) return undefined
  connection.drop()
  if (trouble === 'again') return { kind: 'again' }
  const { demandedBy } = wish.tls
  const who = demandedBy === '' ? '' : ` (demanded by ${demandedBy})`
  wish.onTls({ kind: tlsFailureOf(trouble), why: trouble.why }, connection)
  const words = `TLS failed: ${trouble.why.replace(/[^ -~]/g, '?')}${who}`
  return withoutTls(wish, trouble.why, remoteStatus.noTls(wish.target, words))
}

async function secure(
  connection: SmtpConnection,
  wish: SessionWish,
  contexts: TlsContexts,
): Promise<TlsTrouble | 'again' | undefined> {
  try {
    const trouble = await connection.secure(contexts.options(wish.target, wish.tls), replyMilliseconds.handshake)
    if (trouble !== undefined || connection.secured === undefined) return trouble
    const { fault, anchorPem } = judgePeer(connection.secured, wish.tls.voucher)
    if (anchorPem !== undefined && contexts.learnAnchor(wish.tls, anchorPem)) return 'again'
    if (fault !== undefined && !wish.tls.isOnlyReported) return fault
    const fact: TlsFact =
      fault === undefined ? { kind: 'success', why: '' } : { kind: tlsFailureOf(fault), why: fault.why }
    wish.onTls(fact, connection)
    return undefined
  } catch (error) {
    return { why: describeError(error), code: '' }
  }
}

function withoutTls(wish: SessionWish, why: string, status: Status): Failed {
  return wish.tls.use === 'opportunistic' ? { kind: 'handshakeFailed', why, status } : demandUnmet(wish, status)
}

/** A published demand holds for one exchanger, the administrator's for all. */
function demandUnmet(wish: SessionWish, status: Status): Failed {
  return { kind: wish.tls.demandedBy === '' ? 'refused' : 'unwilling', status }
}
