/** srsfilter(1): in the `.qmail` of a virtual domain whose recipients are SRS addresses of ours, sends the message to the
 *  original sender. The queue, which has the secrets, decodes the address. The sender is empty, so that no bounce comes back
 *  here. */
import { lowerAscii } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { isSrsAddress } from '../../protocols/srs/srs.ts'
import { readLine } from '../../stores/control/line-file.ts'
import { errorCode } from '../../system/files.ts'
import { type Call, exit, Fatal } from './call.ts'
import { enqueue, withHead } from './send.ts'

const prefix = 'srsfilter: fatal: '

export async function srsfilter(call: Call): Promise<number> {
  const host = call.variables.get('HOST')
  const names = ['DEFAULT', 'EXT'].map((name) => call.variables.get(name)).filter((name) => name !== undefined)
  if (host === undefined || names.length === 0)
    throw new Fatal(exit.permanent, `${prefix}HOST, or DEFAULT and EXT, not set`)
  const domain = srsDomain(call)
  const recipient = names.map((name) => `${name}@${host}`).find((address) => isSrsAddress(address, domain))
  if (recipient === undefined) throw new Fatal(exit.permanent, `${prefix}that is no SRS address of control/srs_domain`)
  const envelope = { sender: '', recipients: [recipient] }
  const content = withHead(call.variables.get('DTLINE') ?? '', call.input())
  const qp = await enqueue(call, prefix, content, () => envelope)
  call.err(`srsfilter: qp ${qp}\n`)
  return exit.ok
}

function srsDomain(call: Call): string {
  const { control } = call.home()
  try {
    const domain = readLine(control, 'srs_domain')
    if (domain !== undefined && domain !== '') return lowerAscii(domain)
  } catch (error) {
    throw new Fatal(exit.temporary, `${prefix}unable to read controls: ${errnoText(errorCode(error))}`)
  }
  throw new Fatal(exit.temporary, `${prefix}no control/srs_domain`)
}
