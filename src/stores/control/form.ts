/** What can be said of a control file. */
import type { ByteString } from '../../base/byte-string.ts'

export type Form = 'line' | 'number' | 'list' | 'map'
/** `live`: re-read when changed and settled for a second. `reload`: at HUP. `start`: when its program starts. */
export type Reread = 'live' | 'reload' | 'start'

export interface ControlFile {
  readonly form: Form
  /** Line and number: the value if the file is absent. `me`: control/me, or the file's own name if that is absent too. */
  readonly fallback?: ByteString | number | 'me'
  readonly unit?: 'bytes' | 'seconds' | 'deliveries' | 'connections'
  readonly meaning: string
  readonly readBy: readonly string[]
  /** Where each line has a form of its own. */
  readonly lines?: { readonly form: string; readonly isOne: (line: ByteString) => boolean }
  readonly reread: Reread
  /** Its content is never printed, and the file must not be readable by others. */
  readonly secret?: true
}
