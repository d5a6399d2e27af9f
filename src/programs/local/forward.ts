/** The forwards of one delivery: all addresses in one enqueue, at its end. */
import type { ByteString } from '../../base/byte-string.ts'
import { failed, type Outcome, permanent, transient, transientFrom } from '../../base/outcome.ts'
import { handOn, type Enqueuer } from '../../clients/queue/enqueuer.ts'
import {
  type Envelope,
  envelopeBytesMax,
  isAddress,
  type Params,
  quarantineParam,
  recipientsMax,
} from '../../contracts/envelope.ts'
import type { StoredBytes } from '../../system/spool.ts'

/** What a forwarded message keeps of the parameters it came with (RFC 6152 §3, 6531 §3.2, 8689 §4.2.1). What is suspect stays
 *  so at the mailbox that an alias leads to. */
const keptParams: readonly string[] = ['BODY', 'SMTPUTF8', 'REQUIRETLS', quarantineParam]

/** Resolves with the `qp` number. The Return-Path line is not passed on. */
export async function forward(
  enqueuer: Enqueuer,
  envelope: Envelope,
  params: Params,
  deliveredTo: ByteString,
  content: StoredBytes,
): Promise<Outcome<number>> {
  const refusal = refuse(envelope)
  if (refusal !== undefined) return refusal
  const kept = new Map([...params].filter(([name]) => keptParams.includes(name)))
  try {
    return await handOn(enqueuer.open(envelope, kept), deliveredTo, content.chunks())
  } catch (error) {
    return failed(transientFrom(error, 'forward', 'qq temporary problem'))
  }
}

function refuse(envelope: Envelope): Outcome<never> | undefined {
  const addresses = [envelope.sender, ...envelope.recipients]
  const bad = addresses.find((address) => !isAddress(address))
  if (bad !== undefined) {
    if (!/[\0\r\n]/.test(bad)) return failed(permanent('1.3', 'envelope address too long for qq'))
    return failed(transient('3.0', 'qq temporary problem', 'a forward address has a CR: .qmail with CRLF line ends?'))
  }
  const bytes = addresses.reduce((sum, address) => sum + address.length + 2, 1)
  if (envelope.recipients.length > recipientsMax || bytes > envelopeBytesMax) {
    const what = `${envelope.recipients.length} forward addresses, limit ${recipientsMax}`
    return failed(transient('3.0', 'qq temporary problem', what))
  }
  return undefined
}
