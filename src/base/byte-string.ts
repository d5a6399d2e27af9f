/** Bytes that we look at are kept as strings whose code units are all 0 to 255 (latin1): they compare, slice and serve
 *  as Map keys like text, and are bytes all the same. Addresses, header lines and SMTP lines are ByteStrings; message
 *  content stays in Buffers. Bytes are decoded as UTF-8 only to be shown. */
export type ByteString = string

export function toBuffer(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1')
}

export function fromBuffer(buffer: Uint8Array): ByteString {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString('latin1')
}

/** Text from outside the byte world (arguments, JSON) as its UTF-8 bytes. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** For a person to read: UTF-8 where it is valid, one replacement character a byte where it is not. */
export function toText(bytes: ByteString): string {
  return toBuffer(bytes).toString('utf8')
}

/** ASCII case folding only: bytes from 128 up stay as they are, as in qmail. */
export function lowerAscii(bytes: ByteString): ByteString {
  let plain = true
  for (let at = 0; at < bytes.length; at++) {
    const code = bytes.charCodeAt(at)
    if (code >= 65 && code <= 90) {
      plain = false
      break
    }
  }
  return plain ? bytes : bytes.replace(/[A-Z]+/g, (run) => run.toLowerCase())
}
