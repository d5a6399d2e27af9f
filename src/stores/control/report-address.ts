/** The address that takes reports about our domains and sends ours: control/reportaddress, or dmarc-reports@me where that is a
 *  local address and alias/ has a file for it: reports need an address that accepts mail. */
import { existsSync } from 'node:fs'
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { isPlainAddress } from '../../protocols/reports/plain-address.ts'
import { hostAliasFile, reportsAlias } from '../home/host-aliases.ts'
import type { Home } from '../home/layout.ts'
import type { Control } from './control.ts'

/** Undefined: there is none. */
export function reportAddress(
  home: Pick<Home, 'alias'>,
  control: Pick<Control, 'list' | 'optionalLine'>,
): ByteString | undefined {
  const given = control.optionalLine('reportaddress')
  if (given !== undefined) return isPlainAddress(given) ? given : undefined
  const me = lowerAscii(control.optionalLine('me') ?? '')
  const isLocal = me.includes('.') && (control.list('locals') ?? []).some((one) => lowerAscii(one) === me)
  return isLocal && existsSync(hostAliasFile(home, reportsAlias)) ? `${reportsAlias}@${me}` : undefined
}
