/** Addresses that this host made for senders of forwards (SRS): no mailbox has them, and mail for them goes on. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { isSrsAddress } from '../../protocols/srs/srs.ts'
import type { Control } from './control.ts'

export function isOwnSrsAddress(control: Pick<Control, 'optionalLine'>, address: ByteString): boolean {
  const domain = lowerAscii(control.optionalLine('srs_domain') ?? '')
  return domain !== '' && isSrsAddress(address, domain)
}
