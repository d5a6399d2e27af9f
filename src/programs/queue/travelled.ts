/** Has somebody received this message before? By its header: what is handed in on the machine carries no other word of it. */
import { type HeaderField, valueOf } from '../../protocols/dkim/header-fields.ts'

/** A forward, or a message that was fetched elsewhere. `above`: what was put on top of its own fields. A list's `Delivered-To:
 *  mailing list …` is its own mark on new mail. */
export function hasTravelled(own: readonly HeaderField[], above: readonly HeaderField[]): boolean {
  const isDelivered = (field: HeaderField): boolean =>
    field.name === 'delivered-to' && /^[^ \t]+$/.test(valueOf(field).trim())
  return own.some((field) => field.name === 'received' || isDelivered(field)) || above.some(isDelivered)
}
