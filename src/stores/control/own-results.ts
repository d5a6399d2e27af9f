/** Whose Authentication-Results are ours: control/me, and control/authservids for names that this host has had, or that hosts
 *  of ours have whose results it believes. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import type { IsOurs } from '../../protocols/auth-results/own-fields.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import type { Control } from './control.ts'

type Names = Pick<Control, 'line' | 'list' | 'optionalLine'>

/** Under which our results stand; without control/me it is the name of the greeting. */
export function resultsId(control: Names): ByteString {
  return control.optionalLine('me') ?? control.line('smtpgreeting').split(' ', 1)[0] ?? ''
}

/** As the files are at each call. */
export function ownResults(control: Names): IsOurs {
  return (id) => {
    const name = lowerAscii(asciiForm(id))
    const ids = [resultsId(control), ...(control.list('authservids') ?? [])]
    return ids.some((own) => own !== '' && lowerAscii(own) === name)
  }
}
