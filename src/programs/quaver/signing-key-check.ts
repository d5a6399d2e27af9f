/** Whether the account that signs (DKIM) has a key that control/dkimdomains names.
 *  Fails:  what the caller may not look at is not looked at; root sees all. */
import { statSync } from 'node:fs'
import { toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { LineFault } from '../../stores/control/form.ts'
import type { Home } from '../../stores/home/layout.ts'
import { type KeyName, keyPath, readKey } from '../../stores/signing-keys/signing-keys.ts'
import { accessFault, type Reader } from '../../system/access.ts'
import { errorCode } from '../../system/files.ts'

export function signingKeyFault(home: Home, name: KeyName, signer: Reader): LineFault | undefined {
  const path = keyPath(home, name)
  const [domain, selector] = [toText(name.domain), toText(name.selector)]
  const fault = (what: string, remedy: string): LineFault => {
    return { fault: `names the key ${selector} of ${domain}, which ${what}: mail of the domain waits`, remedy }
  }
  try {
    statSync(path)
    // On a machine that is not set up yet there is no such account.
    const closed = signer.uid === undefined ? undefined : accessFault(path, signer, 'read')
    if (closed !== undefined) return fault(closed.fault, `chown -R ${signer.account} ${home.control}/domainkeys`)
    readKey(home, name)
    return undefined
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR')
      return fault('does not exist', `quaver dkim keygen ${domain} --selector ${selector}`)
    if (code !== '') return undefined
    return fault(`cannot be used (${describeError(error)})`, `quaver dkim rotate ${domain}`)
  }
}
