/** policy: what smtpd, login and the command line ask about a client, and what the policy process found.
 *
 *  Asker to policy                                           Policy to asker
 *    name      ref ip confirm
 *    spf       ref ip helo sender bestGuess refuseOpenPass     serving                   (at once after hello)
 *    dnsbl     ref ip lists                                    name | spf | dnsbl | greylist | auth    ref …
 *    greylist  ref ip sender recipient times onlyLook          none  ref why
 *    auth      ref ip helo sender … header digests
 *    acted     receipt action reason                         -
 *    sent      domains                                       -
 *
 *  Any number of questions at once on one connection; answers come in any order. `none` means that there is no answer:
 *  the asker goes on as if it had not asked. An answer is a finding, never an order: what it means for the mail is for the
 *  asker to decide. `acted` tells what became of a message, `sent` which domains our mail has gone to: for reports.
 *  `serving` tells that policy is running: connections to a dead program wait unserved. */
import type { ByteString } from '../base/byte-string.ts'
import { choice, FieldReader, FieldWriter } from './fields.ts'
import { ContractError, encodeFrame, type Frame } from './frame.ts'
import {
  type AuthFindings,
  type AuthQuestion,
  readAuthFindings,
  readAuthQuestion,
  writeAuthFindings,
  writeAuthQuestion,
} from './policy-auth.ts'
import { bounded, cut, flag, policyFieldBytesMax, text } from './policy-fields.ts'

export const dnsListsMax = 64

const type = {
  spf: 128,
  dnsbl: 129,
  greylist: 130,
  name: 131,
  auth: 132,
  acted: 133,
  sent: 134,
  serving: 136,
  spfAnswer: 137,
  dnsblAnswer: 138,
  greylistAnswer: 139,
  none: 140,
  nameAnswer: 141,
  authAnswer: 142,
} as const

/** RFC 7208 §2.6. */
export const spfResults = ['pass', 'fail', 'softfail', 'neutral', 'none', 'temperror', 'permerror'] as const
export type SpfResult = (typeof spfResults)[number]

/** `not-made`: not asked for, or not called for by the result. */
export const spfGuesses = ['not-made', 'pass', 'fail', 'unknown'] as const
export type SpfGuess = (typeof spfGuesses)[number]

/** `clear`, or what the first list in order that has the address says. */
export const dnsblDecisions = ['clear', 'allowed', 'listed'] as const
export type DnsblDecision = (typeof dnsblDecisions)[number]

/** `new`, `young`: refuse for now. `known`: accept. */
export const greylistStates = ['new', 'young', 'known'] as const
export type GreylistState = (typeof greylistStates)[number]

export interface NameQuestion {
  readonly ip: string
  /** Check that the name leads back to the address: an address's owner may give it any name. */
  readonly confirm: boolean
}

export interface SpfQuestion {
  readonly ip: string
  readonly helo: ByteString
  /** Empty: HELO is checked. */
  readonly sender: ByteString
  /** Where there is no verdict, evaluate `v=spf1 mx -all`. */
  readonly bestGuess: boolean
  /** Ignore a pass that two random addresses get as well. */
  readonly refuseOpenPass: boolean
}

export interface DnsblQuestion {
  readonly ip: string
  /** Lines of control/dnsbls. */
  readonly lists: readonly ByteString[]
}

export interface GreylistQuestion {
  /** Or what stands for it in the key. */
  readonly ip: string
  readonly sender: ByteString
  readonly recipient: ByteString
  readonly minRejectSeconds: number
  readonly maxWaitSeconds: number
  readonly acceptGoodSeconds: number
  /** Says what would happen; nothing is remembered. */
  readonly onlyLook: boolean
}

/** In every answer. */
export interface Explained {
  /** The control file, control line, DNS record or setting that decided. */
  readonly rule: ByteString
  /** One line for the log. */
  readonly logText: ByteString
  /** How long the answer stays valid, by the TTLs of the DNS answers behind it. 0: ask again. */
  readonly freshMilliseconds: number
}

export interface NameAnswer extends Explained {
  readonly kind: 'name'
  /** In lower case, without final dot; empty: there is none, or the DNS does not answer now. */
  readonly name: string
  /** `confirm` was set, and the name leads back. */
  readonly leadsBack: boolean
}

export interface SpfAnswer extends Explained {
  readonly kind: 'spf'
  readonly result: SpfResult
  /** What a refused client is told: one line, printable. */
  readonly explanation: ByteString
  /** The whole field, without line end; empty if the pass does not count. */
  readonly receivedSpf: ByteString
  readonly openToAll: boolean
  readonly guess: SpfGuess
}

export interface DnsblAnswer extends Explained {
  readonly kind: 'dnsbl'
  readonly decision: DnsblDecision
  /** 451 or 553 when listed, else 0. */
  readonly code: number
  /** The zone that decided and the address it gave; empty when clear. */
  readonly zone: ByteString
  readonly address: string
  /** For the reply, without code; printable. */
  readonly text: ByteString
  /** Zones of `?zone` lines that have the address. */
  readonly marks: readonly ByteString[]
  /** Sum of `zone=N` lines that have the address. */
  readonly score: number
}

export interface GreylistAnswer extends Explained {
  readonly kind: 'greylist'
  readonly state: GreylistState
  /** The sender is empty: say the refusal at DATA, so that sender verification by others succeeds. */
  readonly refuseAtData: boolean
  /** Milliseconds since 1970: when it would be accepted, or until when it stays known. */
  readonly untilMs: number
}

export type PolicyRequest =
  | ({ readonly kind: 'name'; readonly ref: number } & NameQuestion)
  | ({ readonly kind: 'spf'; readonly ref: number } & SpfQuestion)
  | ({ readonly kind: 'dnsbl'; readonly ref: number } & DnsblQuestion)
  | ({ readonly kind: 'greylist'; readonly ref: number } & GreylistQuestion)
  | ({ readonly kind: 'auth'; readonly ref: number } & AuthQuestion)

/** What was done with a message that was asked about. */
export interface ActedNotice {
  readonly kind: 'acted'
  /** That of the answer. */
  readonly receipt: number
  readonly action: Action
  /** Why it is not what the owner of the domain wants; `none`: it is. */
  readonly reason: Reason
}

const actions = ['none', 'quarantine', 'reject'] as const
type Action = (typeof actions)[number]
/** Those of RFC 9990 that we can give. */
const reasons = ['none', 'local_policy', 'mailing_list', 'trusted_forwarder'] as const
export type Reason = (typeof reasons)[number]

/** Mail of ours was taken for recipients in these domains. */
export interface SentNotice {
  readonly kind: 'sent'
  readonly domains: readonly ByteString[]
}

/** What policy is told and does not answer. */
export type PolicyNotice = ActedNotice | SentNotice

export const sentDomainsMax = 100
const domainBytesMax = 253

export function encodePolicyNotice(notice: PolicyNotice): Buffer {
  const fields = new FieldWriter()
  if (notice.kind === 'acted')
    fields.u32(notice.receipt).u8(actions.indexOf(notice.action)).u8(reasons.indexOf(notice.reason))
  else fields.strings(notice.domains.slice(0, sentDomainsMax).map((domain) => domain.slice(0, domainBytesMax)))
  return encodeFrame(type[notice.kind], ...fields.end())
}

/** Never reused: no two messages are alike. */
export interface AuthAnswer extends Explained, AuthFindings {
  readonly kind: 'auth'
}

export type PolicyAnswer = NameAnswer | SpfAnswer | DnsblAnswer | GreylistAnswer | AuthAnswer

export type PolicyReply =
  | { readonly kind: 'serving' }
  | { readonly kind: 'answer'; readonly ref: number; readonly answer: PolicyAnswer }
  | { readonly kind: 'none'; readonly ref: number; readonly why: ByteString }

/** Throws ContractError for a question over the limits: sending it would end the whole connection. */
export function encodePolicyRequest(request: PolicyRequest): Buffer {
  const fields = new FieldWriter().u32(request.ref).string(bounded(request.ip))
  switch (request.kind) {
    case 'name':
      fields.u8(request.confirm ? 1 : 0)
      break
    case 'spf':
      fields.string(bounded(request.helo)).string(bounded(request.sender))
      fields.u8(request.bestGuess ? 1 : 0).u8(request.refuseOpenPass ? 1 : 0)
      break
    case 'dnsbl':
      if (request.lists.length > dnsListsMax) throw new ContractError(`${request.lists.length} DNS lists`)
      fields.strings(request.lists.map(bounded))
      break
    case 'greylist':
      fields.string(bounded(request.sender)).string(bounded(request.recipient))
      fields.u32(request.minRejectSeconds).u32(request.maxWaitSeconds).u32(request.acceptGoodSeconds)
      fields.u8(request.onlyLook ? 1 : 0)
      break
    case 'auth':
      writeAuthQuestion(fields, request)
      break
  }
  return encodeFrame(type[request.kind], ...fields.end())
}

/** Throws ContractError for anything that is not a question of this contract. */
export function decodePolicyRequest(frame: Frame): PolicyRequest {
  const fields = new FieldReader(frame.payload)
  const request = readRequest(frame.type, fields)
  fields.end()
  return request
}

/** Undefined: it is no notice. Throws ContractError for one that is not of this contract. */
export function decodePolicyNotice(frame: Frame): PolicyNotice | undefined {
  const fields = new FieldReader(frame.payload)
  const notice = readNotice(frame.type, fields)
  if (notice !== undefined) fields.end()
  return notice
}

function readNotice(frameType: number, fields: FieldReader): PolicyNotice | undefined {
  if (frameType === type.acted)
    return { kind: 'acted', receipt: fields.u32(), action: choice(fields, actions), reason: choice(fields, reasons) }
  if (frameType === type.sent) return { kind: 'sent', domains: fields.strings(sentDomainsMax, domainBytesMax) }
  return undefined
}

function readRequest(frameType: number, fields: FieldReader): PolicyRequest {
  const ref = fields.u32()
  const ip = text(fields)
  switch (frameType) {
    case type.name:
      return { kind: 'name', ref, ip, confirm: flag(fields) }
    case type.spf: {
      const helo = text(fields)
      const sender = text(fields)
      return { kind: 'spf', ref, ip, helo, sender, bestGuess: flag(fields), refuseOpenPass: flag(fields) }
    }
    case type.dnsbl:
      return { kind: 'dnsbl', ref, ip, lists: fields.strings(dnsListsMax, policyFieldBytesMax) }
    case type.greylist: {
      const sender = text(fields)
      const recipient = text(fields)
      const times = { minRejectSeconds: fields.u32(), maxWaitSeconds: fields.u32(), acceptGoodSeconds: fields.u32() }
      return { kind: 'greylist', ref, ip, sender, recipient, ...times, onlyLook: flag(fields) }
    }
    case type.auth:
      return { kind: 'auth', ref, ip, ...readAuthQuestion(fields) }
    default:
      throw new ContractError(`frame type ${frameType}, a policy question was expected`)
  }
}

export function encodePolicyReply(reply: PolicyReply): Buffer {
  if (reply.kind === 'serving') return encodeFrame(type.serving)
  const fields = new FieldWriter().u32(reply.ref)
  if (reply.kind === 'none') return encodeFrame(type.none, ...fields.string(cut(reply.why)).end())
  const { answer } = reply
  fields.string(cut(answer.rule)).string(cut(answer.logText)).u32(answer.freshMilliseconds)
  switch (answer.kind) {
    case 'name':
      fields.string(cut(answer.name)).u8(answer.leadsBack ? 1 : 0)
      return encodeFrame(type.nameAnswer, ...fields.end())
    case 'spf':
      fields.u8(spfResults.indexOf(answer.result)).string(cut(answer.explanation)).string(cut(answer.receivedSpf))
      fields.u8(answer.openToAll ? 1 : 0).u8(spfGuesses.indexOf(answer.guess))
      return encodeFrame(type.spfAnswer, ...fields.end())
    case 'dnsbl':
      fields.u8(dnsblDecisions.indexOf(answer.decision)).u16(answer.code).string(answer.zone).string(answer.address)
      fields.string(cut(answer.text)).strings(answer.marks).u32(answer.score)
      return encodeFrame(type.dnsblAnswer, ...fields.end())
    case 'greylist':
      fields
        .u8(greylistStates.indexOf(answer.state))
        .u8(answer.refuseAtData ? 1 : 0)
        .u64(answer.untilMs)
      return encodeFrame(type.greylistAnswer, ...fields.end())
    case 'auth':
      writeAuthFindings(fields, answer)
      return encodeFrame(type.authAnswer, ...fields.end())
  }
}

/** Throws ContractError for anything that is not a reply of this contract. */
export function decodePolicyReply(frame: Frame): PolicyReply {
  const fields = new FieldReader(frame.payload)
  const reply = readReply(frame.type, fields)
  fields.end()
  return reply
}

function readReply(frameType: number, fields: FieldReader): PolicyReply {
  if (frameType === type.serving) return { kind: 'serving' }
  const ref = fields.u32()
  if (frameType === type.none) return { kind: 'none', ref, why: text(fields) }
  const explained = { rule: text(fields), logText: text(fields), freshMilliseconds: fields.u32() }
  return { kind: 'answer', ref, answer: readAnswer(frameType, fields, explained) }
}

function readAnswer(frameType: number, fields: FieldReader, explained: Explained): PolicyAnswer {
  switch (frameType) {
    case type.nameAnswer:
      return { kind: 'name', ...explained, name: text(fields), leadsBack: flag(fields) }
    case type.spfAnswer: {
      const result = choice(fields, spfResults)
      const [explanation, receivedSpf] = [text(fields), text(fields)]
      const openToAll = flag(fields)
      return {
        kind: 'spf',
        ...explained,
        result,
        explanation,
        receivedSpf,
        openToAll,
        guess: choice(fields, spfGuesses),
      }
    }
    case type.dnsblAnswer: {
      const decision = choice(fields, dnsblDecisions)
      const code = fields.u16()
      const [zone, address, replyText] = [text(fields), text(fields), text(fields)]
      const marks = fields.strings(dnsListsMax, policyFieldBytesMax)
      const score = fields.u32()
      return { kind: 'dnsbl', ...explained, decision, code, zone, address, text: replyText, marks, score }
    }
    case type.greylistAnswer: {
      const state = choice(fields, greylistStates)
      return { kind: 'greylist', ...explained, state, refuseAtData: flag(fields), untilMs: fields.u64() }
    }
    case type.authAnswer:
      return { kind: 'auth', ...explained, ...readAuthFindings(fields) }
    default:
      throw new ContractError(`frame type ${frameType}, a policy answer was expected`)
  }
}
