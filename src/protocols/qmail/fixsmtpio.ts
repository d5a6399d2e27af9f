/** control/fixsmtpio: rules that change replies on their way to the client (acceptutils), here for our own replies.
 *  One rule a line, six fields: `env:event:request-prepend:response-line-glob:exitcode:response`.
 *  Knows:  the form, which rule matches, the built-ins. Never: half a file: one invalid line and there are no rules.
 *  Fails:  the first invalid line is named, with the reason. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { contentLines } from './control-format.ts'
import { fnmatch } from './fnmatch.ts'

type Response = { readonly kind: 'noop' | 'fixup' } | { readonly kind: 'text'; readonly text: ByteString }

export interface Rule {
  /** In the file, from 1. */
  readonly line: number
  /** The rule counts if this variable exists; empty: always. */
  readonly variable: ByteString
  /** A verb in lower case, or `greeting`, `timeout`, `clienteof`. */
  readonly event: ByteString
  readonly prepend: ByteString
  readonly glob: ByteString
  readonly exitCode: number | undefined
  readonly response: Response
}

export type FixSmtpIo =
  | { readonly valid: true; readonly rules: readonly Rule[] }
  | { readonly valid: false; readonly line: number; readonly reason: string }

export interface ReplyContext {
  readonly event: ByteString
  readonly environment: ReadonlyMap<ByteString, ByteString>
  /** control/smtpgreeting. */
  readonly greeting: ByteString
  readonly tlsOffered: boolean
  readonly tlsOn: boolean
}

export interface FixedReply {
  /** Without line ends; empty: nothing is sent. */
  readonly lines: readonly ByteString[]
  /** The session ends after the reply. */
  readonly exitCode: number | undefined
  /** Lines of the file that had a say. */
  readonly decidedBy: readonly number[]
}

const noop = '&fixsmtpio_noop'
const fixup = '&fixsmtpio_fixup'
const builtIns: ReadonlySet<ByteString> = new Set(['greeting', 'helo', 'ehlo', 'help', 'quit'])
const helpLine = '214 fixsmtpio home page: https://schmonz.com/qmail/acceptutils'

/** What the log says of an invalid file, before the line and the reason. */
export const unparsable = 'unable to parse control/fixsmtpio'

/** Of a line, in words. */
export const fixSmtpIoForm = 'env:event:request-prepend:response-line-glob:exitcode:response'

export function parseFixSmtpIo(text: ByteString): FixSmtpIo {
  const rules: Rule[] = []
  for (const { line, text: written } of contentLines(text)) {
    const rule = parseRule(written, line)
    if (typeof rule === 'string') return { valid: false, line, reason: rule }
    rules.push(rule)
  }
  return { valid: true, rules }
}

/** What goes in front of the client's request before it is looked at; `NOOP ` makes it harmless. */
export function requestPrepend(
  rules: readonly Rule[],
  event: ByteString,
  environment: ReplyContext['environment'],
): ByteString {
  const verb = lowerAscii(event)
  const found = rules.filter((rule) => applies(rule, verb, environment) && rule.prepend !== '')
  return found.at(-1)?.prepend ?? ''
}

/** `lines`: the reply as it would be sent, without line ends. Every rule sees them as they were at first. */
export function applyRules(rules: readonly Rule[], context: ReplyContext, lines: readonly ByteString[]): FixedReply {
  const event = lowerAscii(context.event)
  const relevant = rules.filter((rule) => applies(rule, event, context.environment))
  if (relevant.length === 0) return { lines, exitCode: undefined, decidedBy: [] }
  // The end of the client's input is no reply, but rules about it match an empty one.
  const originals = event === 'clienteof' ? [''] : lines
  const changed: (readonly ByteString[])[] = originals.map((line) => [line])
  const decidedBy: number[] = []
  let exitCode: number | undefined
  for (const rule of relevant) {
    for (const [index, original] of originals.entries()) {
      if (!fnmatch(rule.glob, original)) continue
      if (decidedBy.at(-1) !== rule.line) decidedBy.push(rule.line)
      if (rule.exitCode !== undefined) exitCode = rule.exitCode
      changed[index] = responseLines(rule.response, changed[index] ?? [], index, event, context)
    }
  }
  const result = event === 'clienteof' ? [] : framed(changed.flat())
  return { lines: result, exitCode, decidedBy }
}

function parseRule(line: ByteString, number: number): Rule | string {
  const fields = line.split(':')
  if (fields.length < 6) return `${fields.length} fields, six are needed`
  const [variable = '', event = '', prepend = '', glob = '', exit = ''] = fields
  if (event === '') return 'the event is missing'
  if (glob === '') return 'the response-line-glob is missing'
  if (exit !== '' && !(/^[0-9]{1,3}$/.test(exit) && Number(exit) <= 255)) return `exitcode ${exit} is not 0 to 255`
  const verb = lowerAscii(event)
  const response = parseResponse(fields.slice(5).join(':'), verb)
  if (typeof response === 'string') return response
  const exitCode = exit === '' ? undefined : Number(exit)
  return { line: number, variable, event: verb, prepend, glob, exitCode, response }
}

function parseResponse(text: ByteString, event: ByteString): Response | string {
  if (text === noop) return { kind: 'noop' }
  if (text === fixup) {
    return builtIns.has(event) ? { kind: 'fixup' } : `there is no ${fixup} for the event ${event}`
  }
  if (text.startsWith('&fixsmtpio')) return `${text} is not known`
  if (event === 'clienteof' && text !== '') return 'clienteof cannot have a response'
  return { kind: 'text', text }
}

function applies(rule: Rule, event: ByteString, environment: ReplyContext['environment']): boolean {
  return rule.event === event && (rule.variable === '' || environment.has(rule.variable))
}

function responseLines(
  response: Response,
  current: readonly ByteString[],
  index: number,
  event: ByteString,
  context: ReplyContext,
): readonly ByteString[] {
  if (response.kind === 'noop') return current
  if (response.kind === 'text') return response.text === '' ? [] : [response.text]
  return fixedUp(current, index, event, context)
}

function fixedUp(
  current: readonly ByteString[],
  index: number,
  event: ByteString,
  context: ReplyContext,
): readonly ByteString[] {
  switch (event) {
    case 'greeting':
      return [`220 ${context.greeting} ESMTP`]
    case 'helo':
      return [`250 ${context.greeting}`]
    case 'quit':
      return [`221 ${context.greeting}`]
    case 'help':
      return index === 0 ? [helpLine, ...current] : current
    default:
      if (index > 0) return current.filter((line) => line.slice(4).toUpperCase() !== 'STARTTLS')
      return [`250 ${context.greeting}`, ...(offersTls(context) ? ['250 STARTTLS'] : [])]
  }
}

function offersTls({ tlsOffered, tlsOn, environment }: ReplyContext): boolean {
  return tlsOffered && !tlsOn && !environment.has('AUTHUP_USER')
}

/** The fourth byte of every line is `-`, of the last one a blank. */
function framed(lines: readonly ByteString[]): ByteString[] {
  return lines.map((line, index) => `${line.slice(0, 3)}${index === lines.length - 1 ? ' ' : '-'}${line.slice(4)}`)
}
