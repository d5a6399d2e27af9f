/** qreceipt(1): in `.qmail`, tells a sender that asked for it that the message has arrived at an address. */
import { quoteAddress } from '../../protocols/qmail/quote.ts'
import { mapAddresses } from '../../protocols/inject/address-list.ts'
import { addressText, parseTokens } from '../../protocols/inject/tokens.ts'
import type { Field } from '../../protocols/rfc822/header.ts'
import { toBuffer } from '../../base/byte-string.ts'
import { gather } from '../../system/input-spool.ts'
import { type Call, exit, Fatal } from './call.ts'
import { readHeader } from './read-header.ts'

export async function qreceipt(call: Call): Promise<number> {
  const [target] = call.args
  const sender = call.variables.get('SENDER')
  if (target === undefined || sender === undefined)
    throw new Fatal(exit.permanent, 'qreceipt: usage: qreceipt deliveryaddress')
  const fields = readHeader(call)
  if (!fields.some((field) => asksFor(field, target)) || sender === '' || sender === '#@[]') return exit.ok
  const quoted = quoteAddress(sender)
  const messageId = fields.findLast(({ name }) => name === 'message-id')?.raw
  const notice =
    `From: DELIVERY NOTICE SYSTEM <${quoted}>\nTo: <${quoted}>\nSubject: success notice\n\n` +
    'Hi! This is the qreceipt program. Your message was delivered to the\n' +
    `following address: ${target}. Thanks for asking.\n${messageId === undefined ? '' : `Your ${messageId}`}`
  const content = await gather([toBuffer(notice)])
  const taken = await call.enqueue({ sender: '', recipients: [sender] }, content, call.variables)
  content.close()
  if (taken.done) return exit.ok
  const isPermanent = taken.failure.class === 5
  const kind = isPermanent ? 'permanent' : 'temporary'
  throw new Fatal(isPermanent ? exit.permanent : exit.temporary, `qreceipt: fatal: ${kind} qmail-queue error`)
}

/** Compares byte by byte. */
function asksFor({ name, raw }: Field, target: string): boolean {
  if (name !== 'notice-requested-upon-delivery-to') return false
  let asks = false
  const tokens = parseTokens(raw)
  const read =
    tokens &&
    mapAddresses(tokens, (address) => {
      if (addressText(address) === target) asks = true
      return address
    })
  if (read === undefined)
    throw new Fatal(exit.permanent, `qreceipt: fatal: unable to parse this: ${raw.replace(/\n$/, '')}`)
  return asks
}
