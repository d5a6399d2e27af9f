/** Which Authentication-Results are ours: those under control/me, and under control/authservids, for former names of this host
 *  and names of other hosts of ours whose results it trusts. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import type { IsOurs } from '../../protocols/auth-results/own-fields.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import type { Control } from './control.ts'

type Names = Pick<Control, 'line' | 'list' | 'optionalLine'>

/** The authserv-id of our results; without control/me it is the name of the greeting. */
export function resultsId(control: Names): ByteString {
  return control.optionalLine('me') ?? control.line('smtpgreeting').split(' ', 1)[0] ?? ''
}

/** Reads the files' values anew at each call. */
export function ownResults(control: Names): IsOurs {
  return (id) => {
    const name = lowerAscii(asciiForm(id))
    const ids = [resultsId(control), ...(control.list('authservids') ?? [])]
    return ids.some((own) => own !== '' && lowerAscii(own) === name)
  }
}
