/** Whose Authentication-Results are ours: control/me, and control/authservids for names that this host has had, or that hosts
 *  of ours have whose results it believes. */
import { lowerAscii } from '../../base/byte-string.ts'
import type { IsOurs } from '../../protocols/auth-results/own-fields.ts'
import { asciiForm } from '../../system/ascii-form.ts'
import type { Control } from './control.ts'

/** As the files are at each call. */
export function ownResults(control: Pick<Control, 'list' | 'optionalLine'>): IsOurs {
  return (id) => {
    const name = lowerAscii(asciiForm(id))
    const ids = [control.optionalLine('me') ?? '', ...(control.list('authservids') ?? [])]
    return ids.some((own) => own !== '' && lowerAscii(own) === name)
  }
}
