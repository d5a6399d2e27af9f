/** What remote would do with a message to a domain: its exchangers, what it and they publish about TLS, and what each of them
 *  offers now, up to EHLO in TLS.
 *  Knows:  the code by which remote decides and connects; it is asked here without a message.
 *  Never:  sends MAIL, a password or a certificate of ours; changes stored policies.
 *  Fails:  failures are part of the answer. */
import { type ByteString, toText } from '../../../base/byte-string.ts'
import type { Status } from '../../../base/outcome.ts'
import type { Deadlines } from '../../../clients/smtp/deadlines.ts'
import type { Target, Targets } from '../../../clients/smtp/mail-exchangers.ts'
import { type Opened, openSession, type SessionWish } from '../../../clients/smtp/session.ts'
import type { TlsContexts } from '../../../clients/smtp/tls-contexts.ts'
import type { TlsFact } from '../../../clients/smtp/tls-judgement.ts'
import { type HostPolicy, planTls, type TlsFacts, type TlsPlan } from '../../../clients/smtp/tls-plan.ts'
import type { DomainDemands, HostDemand } from '../../../clients/smtp/tls-policies.ts'
import { formatTlsa } from '../../../protocols/dane/tlsa.ts'

export interface ExplainParts {
  readonly contexts: TlsContexts
  readonly deadlines: Deadlines
  readonly tlsFacts: (name: string) => TlsFacts
  readonly helo: ByteString
  readonly ownNames: ReadonlySet<string>
  /** A password goes with the mail. */
  readonly hasLogin: boolean
  readonly isRouted: boolean
}

/** `goes`: as demanded. `clear`: it would be sent unencrypted. `next`: passed over. `unreachable`: it did not answer. */
export type Outcome = 'goes' | 'clear' | 'next' | 'unreachable'

export interface ExplainedExchanger {
  readonly name: string
  readonly address: string
  readonly port: number
  /** DNSSEC says that it is an exchanger of the domain. */
  readonly isCertain: boolean
  /** Usable ones, as in a zone. */
  readonly tlsa: readonly string[]
  /** For a person: the demand on it, and its source. */
  readonly demand: string
  /** Undefined: no TLS session was made. */
  readonly tls: ShownTls | undefined
  readonly outcome: Outcome
  /** The reason for the outcome, and remarks; empty if none. */
  readonly why: string
}

export interface ShownTls {
  readonly protocol: string
  readonly subject: string
  readonly names: string
  readonly issuer: string
  readonly validTo: string
}

const connectMilliseconds = 10_000
const replyMilliseconds = 20_000
const totalMilliseconds = 60_000

export async function explainExchanger(
  target: Target,
  demands: DomainDemands,
  parts: ExplainParts,
): Promise<ExplainedExchanger> {
  const { name, address, port, secured } = target
  const demand = await demands.ofHost(target)
  const known = { name, address, port, isCertain: secured !== undefined, tlsa: tlsaOf(demand) }
  if (demand.kind === 'excluded')
    return { ...known, demand: 'nothing is sent there', tls: undefined, outcome: 'next', why: demand.why }
  const needs = { login: parts.hasLogin, requireTls: false }
  const plan = planTls(target, { ...parts.tlsFacts(name), clientPem: undefined }, needs, demand.policy)
  const tried = await attempt(target, plan, parts)
  return { ...known, demand: sayDemand(plan, demand.policy), ...tried, why: join(demand.remark, tried.why) }
}

interface Tried {
  readonly tls: ShownTls | undefined
  readonly outcome: Outcome
  readonly why: string
}

async function attempt(target: Target, plan: TlsPlan, parts: ExplainParts): Promise<Tried> {
  let fact: TlsFact | undefined
  const { deadlines, contexts } = parts
  const wish: SessionWish = {
    target,
    helo: parts.helo,
    tls: plan,
    login: undefined,
    unwanted: new Set(),
    ownNames: parts.isRouted ? new Set() : parts.ownNames,
    connectMilliseconds,
    limits: {
      replyMillisecondsMax: replyMilliseconds,
      totalDeadline: deadlines.clock.monotonic() + totalMilliseconds,
    },
    onMisread: () => undefined,
    onTls: (found) => {
      fact = found
    },
  }
  const opened = await openSession(wish, contexts, deadlines)
  if (opened.kind === 'ready') {
    const { connection } = opened.session
    const tls = shownTls(connection.secured)
    connection.quit()
    return { tls, outcome: tls === undefined ? 'clear' : 'goes', why: fact?.why ?? '' }
  }
  if (opened.kind === 'unreachable') {
    const why = opened.timedOut ? `no connection in ${connectMilliseconds / 1000} s` : 'no connection'
    return { tls: undefined, outcome: 'unreachable', why }
  }
  if (opened.kind === 'handshakeFailed') return { tls: undefined, outcome: 'clear', why: `TLS failed: ${opened.why}` }
  return { tls: undefined, outcome: 'next', why: said(opened) }
}

function said({ status }: Exclude<Opened, { kind: 'ready' | 'unreachable' }>): string {
  return inLine(status)
}

export function inLine({ peerText, logText }: Status): string {
  return join(toText(peerText).replaceAll('\n', ' ').trim(), logText)
}

function shownTls(socket: SmtpSecured): ShownTls | undefined {
  if (socket === undefined) return undefined
  const certificate = socket.getPeerX509Certificate()
  const oneLine = (text: string | undefined): string => (text ?? '').replaceAll('\n', ', ')
  return {
    protocol: `${socket.getProtocol() ?? 'TLS'} ${socket.getCipher().name}`,
    subject: oneLine(certificate?.subject),
    names: oneLine(certificate?.subjectAltName),
    issuer: oneLine(certificate?.issuer),
    validTo: certificate?.validToDate.toISOString().slice(0, 10) ?? '',
  }
}

type SmtpSecured = Extract<Opened, { kind: 'ready' }>['session']['connection']['secured']

function tlsaOf(demand: HostDemand): string[] {
  return demand.kind === 'demand' && demand.policy.kind === 'dane' ? demand.policy.records.map(formatTlsa) : []
}

function sayDemand({ use, voucher, demandedBy, isOnlyReported }: TlsPlan, policy: HostPolicy): string {
  if (isOnlyReported)
    return `nothing: the MTA-STS policy${policy.kind === 'sts' ? ` of ${policy.domain}` : ''} is in testing, and failures are only noted`
  if (use === 'never') return 'no TLS, by the administrator (notlshosts/ or exhaustivelist)'
  if (use === 'opportunistic') return 'nothing: TLS if it is offered, whoever it is'
  const who = demandedBy === '' ? 'the administrator' : demandedBy
  if (voucher.kind === 'nobody') return `TLS, whoever it is (${who})`
  const what = voucher.kind === 'tlsa' ? 'a certificate that a TLSA record matches' : 'a certificate that verifies'
  return `TLS and ${what} (${who})`
}

/** One sentence about the whole. */
export function conclude(exchangers: readonly ExplainedExchanger[]): { text: string; isSent: boolean } {
  const taker = exchangers.find(({ outcome }) => outcome === 'goes' || outcome === 'clear')
  if (taker === undefined)
    return { text: 'a message would wait: no exchanger does as is demanded, or answers', isSent: false }
  const how = taker.outcome === 'clear' ? 'unencrypted' : 'in TLS'
  return { text: `a message would go to ${taker.name} (${taker.address}), ${how}`, isSent: true }
}

export function targetsOrWhy(found: Targets): { targets: readonly Target[]; why: string } {
  if (found.kind === 'targets') return { targets: found.targets, why: '' }
  return { targets: [], why: inLine(found.status) }
}

function join(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('; ')
}
