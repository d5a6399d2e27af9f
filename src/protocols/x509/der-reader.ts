/** Reads DER (X.690) as far as a certificate's serial number and key identifier need it.
 *  Fails:  what is no DER gives undefined. */

export interface Element {
  readonly tag: number
  readonly content: Uint8Array
}

/** The elements that `bytes` is made of, side by side; undefined if something is left over or missing. */
export function elementsOf(bytes: Uint8Array): readonly Element[] | undefined {
  const found: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const [tag, first] = [bytes[at], bytes[at + 1]]
    if (tag === undefined || first === undefined) return undefined
    // Tags of several bytes are in no certificate.
    if ((tag & 0x1f) === 0x1f) return undefined
    const digits = first < 0x80 ? 0 : first & 0x7f
    if (digits > 4 || first === 0x80) return undefined
    let length = digits === 0 ? first : 0
    for (let n = 0; n < digits; n++) length = length * 256 + (bytes[at + 2 + n] ?? Number.NaN)
    const begin = at + 2 + digits
    if (!(begin + length <= bytes.length)) return undefined
    found.push({ tag, content: bytes.subarray(begin, begin + length) })
    at = begin + length
  }
  return found
}
