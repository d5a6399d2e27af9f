/** Control files of DKIM: rows of table.ts. */
import { isSigningLine, isSigningUserLine, signingForm, signingUserForm } from '../../protocols/dkim/signing-rules.ts'
import type { ControlFile } from './form.ts'
import { isOf } from './line-checks.ts'

export const signingFiles = {
  dkimdomains: {
    form: 'map',
    meaning: `domains whose mail is signed (DKIM), and with which keys of control/domainkeys: ${signingForm}`,
    readBy: ['signer', 'queue', 'start'],
    reread: 'live',
    check: isOf(signingForm, (line) => {
      const colon = line.lastIndexOf(':')
      return colon > 0 && isSigningLine(line.slice(0, colon), line.slice(colon + 1))
    }),
  },
  dkimusers: {
    form: 'map',
    meaning: `accounts of the machine whose mail is signed for domains in which they have no mailbox: ${signingUserForm}`,
    readBy: ['signer'],
    reread: 'live',
    check: isOf(signingUserForm, (line) => {
      const colon = line.lastIndexOf(':')
      return colon > 0 && isSigningUserLine(line.slice(colon + 1))
    }),
    joinsRepeats: true,
  },
} as const satisfies Record<string, ControlFile>
