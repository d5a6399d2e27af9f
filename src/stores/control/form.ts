/** The form of a row of table.ts, and of its checks. */
import type { ByteString } from '../../base/byte-string.ts'

export type Form = 'line' | 'number' | 'list' | 'map'
/** `live`: re-read when changed and settled for a second. `reload`: at HUP. `start`: when its program starts. */
export type Reread = 'live' | 'reload' | 'start'

/** A fault that follows `line N`, and what to do about it. */
export interface LineFault {
  readonly fault: string
  readonly remedy: string
}

export type ProgramUse =
  /** Relative to the home, or found by PATH; our own versions are known by their names. */
  | 'plug-in'
  | 'recipient check'
  | 'filter'
  /** Run as the submitting user. */
  | 'submission filter'
  /** The first word of a line. */
  | 'password checker'
  /** The first word of a line; run by acme. */
  | 'certificate hook'
  /** Of a `.qmail` line; run as the recipient's user. */
  | 'program'

/** What a line is checked against: the other files, and the machine. Domains are in lower case. */
export interface Surroundings {
  /** Domains of control/locals, or what stands for it. */
  readonly locals: ReadonlySet<ByteString>
  /** Mail for the domain is accepted from strangers; also true where no domain's is (no rcpthosts). */
  isAccepted(domain: ByteString): boolean
  /** Patterns of qmail-rcptcheck-qregex count. */
  readonly usesPatterns: boolean
  /** Why the program cannot be run; undefined: it can. */
  programFault(program: ByteString, use: ProgramUse): LineFault | undefined
  /** Some address that begins with the word and a dash has an owner, or it is unknown. In lower case. */
  hasOwner(prepend: ByteString): boolean
  /** There is such an account, or it is unknown. In lower case. */
  mayLogIn(account: ByteString): boolean
  /** Why the signer's account has no such key (DKIM); undefined: it has, or it is unknown. In lower case. */
  signingKeyFault(domain: ByteString, selector: ByteString): LineFault | undefined
  /** The machine has an account of this name. */
  hasAccount(name: ByteString): boolean
}

/** Undefined: nothing is wrong with the line. `earlier`: the lines before it, without comments and empty ones. */
export type LineCheck = (
  line: ByteString,
  surroundings: Surroundings,
  earlier: readonly ByteString[],
) => LineFault | undefined

export interface ControlFile {
  readonly form: Form
  /** Line and number: the value if the file is absent. `me`: control/me, or the file's own name if that is absent too. */
  readonly fallback?: ByteString | number | 'me'
  readonly unit?: 'bytes' | 'seconds' | 'deliveries' | 'connections'
  readonly meaning: string
  readonly readBy: readonly string[]
  /** How `quaver control check` checks each line. */
  readonly check?: LineCheck
  /** Line: an empty file is a valid value. Without this, an empty one never comes into force. */
  readonly mayBeEmpty?: true
  /** Number: a value below or above never comes into force. */
  readonly least?: number
  readonly most?: number
  /** Map: lines with one key count together, joined by commas; else the last counts, as in qmail. */
  readonly joinsRepeats?: true
  readonly reread: Reread
  /** Its content is never printed, and the file must not be readable by others. */
  readonly secret?: true
}
