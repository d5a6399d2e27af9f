/** Input of an SMTP session: lines of commands, or content as it comes. What no SMTP client sends ends the session. */
import type { ByteString } from '../../base/byte-string.ts'
import { isBinaryByte } from '../../protocols/smtp/command.ts'
import { replies, type Reply } from '../../protocols/smtp/replies.ts'
import { LineInput } from '../listener/line-input.ts'

export type TakenLine =
  | { readonly kind: 'line'; readonly line: ByteString }
  | { readonly kind: 'incomplete' }
  /** The peer does not speak SMTP: the session ends with this reply. */
  | { readonly kind: 'hopeless'; readonly check: string; readonly reply: Reply }

export class Input extends LineInput {
  /** Without its LF. */
  takeCommand(bytesMax: number): TakenLine {
    // A TLS ClientHello or other binary protocol would not send an LF for us to wait for.
    const isBinary = isBinaryByte(this.firstByte ?? lf)
    const taken = isBinary && this.length <= bytesMax ? notSmtp : this.takeLine(bytesMax)
    return taken.kind === 'too-long' ? tooLong : taken
  }
}

const lf = 10
const notSmtp = { kind: 'hopeless', check: 'not-smtp', reply: replies.unimplemented } as const
const tooLong = { kind: 'hopeless', check: 'line-too-long', reply: replies.lineTooLong } as const
