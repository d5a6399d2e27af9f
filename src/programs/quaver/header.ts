/** Completes the header of a message that a person or a script wrote: what must be there and is not, in qmail-inject's form. */
import type { ByteString } from '../../base/byte-string.ts'
import { headerDate } from '../../protocols/qmail/date.ts'

export interface HeaderFacts {
  readonly nowMs: number
  readonly pid: number
  readonly user: ByteString
  readonly host: ByteString
}

/** `head` begins with the header; line ends are LF. Returns it with the missing fields on top, and an empty line added
 *  where a line that is no field ends the header. */
export function completeHeader(head: ByteString, facts: HeaderFacts): ByteString {
  const { fields, rest } = splitHeader(head)
  const has = (...names: string[]): boolean => fields.some(({ name }) => names.includes(name))
  const added: string[] = []
  if (!has('date')) added.push(`Date: ${headerDate(facts.nowMs)}\n`)
  if (!has('message-id')) added.push(`Message-ID: <${stamp(facts.nowMs)}.${facts.pid}.qmail@${facts.host}>\n`)
  if (!has('from')) added.push(`From: ${facts.user}@${facts.host}\n`)
  if (!has('to', 'cc')) added.push('Cc: recipient list not shown: ;\n')
  // A blind copy is blind because its field does not travel.
  const kept = fields.filter(({ name }) => name !== 'bcc' && name !== 'resent-bcc').map(({ text }) => text)
  return `${added.join('')}${kept.join('')}${rest}`
}

interface Field {
  /** In lower case. */
  readonly name: string
  /** With its continuations and the final LF. */
  readonly text: ByteString
}

function splitHeader(head: ByteString): { fields: Field[]; rest: ByteString } {
  const fields: Field[] = []
  let at = 0
  while (at < head.length) {
    const end = lineEnd(head, at)
    const line = head.slice(at, end)
    const name = /^([!-9;-~]{1,200})[ \t]{0,20}:/.exec(line)?.[1]
    const last = fields.at(-1)
    if (last !== undefined && /^[ \t]/.test(line))
      fields[fields.length - 1] = { name: last.name, text: last.text + line }
    else if (name !== undefined) fields.push({ name: name.toLowerCase(), text: line })
    else return { fields, rest: line === '\n' ? head.slice(at) : `\n${head.slice(at)}` }
    at = end
  }
  return { fields, rest: '' }
}

function lineEnd(text: ByteString, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end + 1
}

/** YYYYMMDDhhmmss, UTC. */
function stamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\D/g, '').slice(0, 14)
}
