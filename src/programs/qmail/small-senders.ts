/** mailsubj(1), predate(1), datemail(1): small ways to hand a message in. */
import type { ByteString } from '../../base/byte-string.ts'
import { localHeaderDate } from '../../protocols/qmail/date.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { type Call, exit, Fatal } from './call.ts'
import { inject } from './inject.ts'
import { withHead } from './send.ts'
import { sendmail } from './sendmail.ts'

/** Subject and recipients are the arguments, the body is descriptor 0. */
export function mailsubj(call: Call): Promise<number> {
  const [subject, ...recipients] = call.args
  if (subject === undefined || recipients.length === 0)
    throw new Fatal(exit.permanent, 'mailsubj: usage: mailsubj subject recip ...')
  // Line ends in an argument become blanks, so that it stays one line of the header.
  const line = (text: ByteString): ByteString => text.replace(/[\r\n]+/g, ' ')
  const head = `Subject: ${line(subject)}\nTo: ${line(recipients.join(' '))}\n\n`
  return inject({ ...call, name: 'qmail-inject', args: [], input: () => withHead(head, call.input()) })
}

export async function predate(call: Call): Promise<number> {
  const [program] = call.args
  if (program === undefined) throw new Fatal(exit.permanent, 'predate: usage: predate child')
  const end = await call.run(call.args, withHead(dateField(call), call.input()))
  if (end.kind === 'crash') throw new Fatal(exit.temporary, 'predate: fatal: child crashed')
  if (end.kind === 'exit') return end.code
  throw new Fatal(exit.temporary, `predate: fatal: unable to run ${program}: ${errnoText(end.error)}`)
}

/** As `predate sendmail`. */
export function datemail(call: Call): Promise<number> {
  return sendmail({ ...call, name: 'sendmail', input: () => withHead(dateField(call), call.input()) })
}

function dateField(call: Call): ByteString {
  const now = call.now()
  return `Date: ${localHeaderDate(now, -new Date(now).getTimezoneOffset())}\n`
}
