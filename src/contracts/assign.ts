/** assign: what lspawn tells a `local` over its descriptor 5 (one way): who the user is, and what each key stands for.
 *  The local lives as long as this pipe: at end of file it finishes its deliveries and exits. */
import type { ByteString } from '../base/byte-string.ts'
import { addressBytesMax } from './envelope.ts'
import { FieldReader, FieldWriter } from './fields.ts'
import { encodeFrame, type Frame } from './frame.ts'

const type = { assignment: 80, retire: 81 } as const
const nameBytesMax = 4096

/** The arguments of qmail-local that follow from the recipient address alone. */
export interface Assignment {
  readonly key: number
  readonly user: ByteString
  readonly home: ByteString
  /** Mailbox name: all before the last `@`. */
  readonly local: ByteString
  /** `-`, or empty, or what users/assign says; `+` for a tag that was split off at a plus sign. */
  readonly dash: ByteString
  readonly ext: ByteString
  readonly domain: ByteString
  /** The default delivery instruction, `./Maildir/` or what the site says. */
  readonly defaultDelivery: ByteString
}

export type ToLocal = ({ readonly kind: 'assignment' } & Assignment) | { readonly kind: 'retire' }

export function encodeToLocal(message: ToLocal): Buffer {
  const fields = new FieldWriter()
  if (message.kind === 'assignment') {
    fields.u32(message.key).string(message.user).string(message.home).string(message.local)
    fields.string(message.dash).string(message.ext).string(message.domain).string(message.defaultDelivery)
  }
  return encodeFrame(type[message.kind], ...fields.end())
}

export function decodeToLocal(frame: Frame): ToLocal | undefined {
  if (frame.type === type.retire) return { kind: 'retire' }
  if (frame.type !== type.assignment) return undefined
  const fields = new FieldReader(frame.payload)
  const message = {
    kind: 'assignment',
    key: fields.u32(),
    user: fields.string(nameBytesMax),
    home: fields.string(nameBytesMax),
    local: fields.string(2 * addressBytesMax),
    dash: fields.string(nameBytesMax),
    ext: fields.string(2 * addressBytesMax),
    domain: fields.string(2 * addressBytesMax),
    defaultDelivery: fields.string(nameBytesMax),
  } as const
  fields.end()
  return message
}
