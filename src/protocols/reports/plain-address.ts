/** Addresses to which, and from which, reports are sent: such as stand in a URI, a header field and a command of SMTP as they
 *  are. Others are valid, but not in use for reports. */
import type { ByteString } from '../../base/byte-string.ts'

const addressBytesMax = 254

export function isPlainAddress(text: ByteString): boolean {
  return (
    text.length <= addressBytesMax &&
    /^[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*@[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+$/.test(text)
  )
}

export function domainOf(address: ByteString): ByteString {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase()
}
