/** Control files of DKIM: rows of table.ts. */
import { lowerAscii } from '../../base/byte-string.ts'
import {
  everyDomain,
  isSigningUserLine,
  selectorsIn,
  signingForm,
  signingUserForm,
} from '../../protocols/dkim/signing-rules.ts'
import type { ControlFile, LineCheck } from './form.ts'
import { isOf } from './line-checks.ts'

/** With the keys that it names. */
const isSigningRule: LineCheck = (line, surroundings, earlier) => {
  const colon = line.lastIndexOf(':')
  const domain = lowerAscii(line.slice(0, Math.max(0, colon)))
  const selectors = selectorsIn(domain, line.slice(colon + 1))
  if (selectors === undefined) return signingRule(line, surroundings, earlier)
  if (domain === everyDomain) return undefined
  return selectors
    .map((selector) => surroundings.signingKeyFault(domain, selector))
    .find((fault) => fault !== undefined)
}

const signingRule: LineCheck = isOf(signingForm, () => false)

export const signingFiles = {
  dkimdomains: {
    form: 'map',
    meaning: `domains whose mail is signed (DKIM), and with which keys of control/domainkeys: ${signingForm}`,
    readBy: ['signer', 'queue', 'policy', 'start'],
    reread: 'live',
    check: isSigningRule,
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
