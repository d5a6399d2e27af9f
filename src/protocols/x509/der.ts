/** Writes the few DER forms that a certificate needs (X.690): definite lengths, the shortest form of each. */

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x30, ...parts)
}

export function set(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x31, ...parts)
}

/** Explicit, constructed, context-specific: `[number]`. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return tagged(0xa0 + number, ...parts)
}

/** Implicit, primitive, context-specific: `[number] IMPLICIT`. */
export function implicit(number: number, bytes: Uint8Array): Buffer {
  return tagged(0x80 + number, bytes)
}

/** Not negative; big-endian bytes, leading zeros allowed. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  const first = digits[0]
  if (first === undefined) return tagged(0x02, Buffer.of(0))
  return tagged(0x02, first >= 0x80 ? Buffer.of(0) : Buffer.alloc(0), digits)
}

export function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.of(value ? 0xff : 0))
}

export function octetString(...parts: readonly Uint8Array[]): Buffer {
  return tagged(0x04, ...parts)
}

/** Whole bytes, unless `unusedBits` says how many of the last are not part of it. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.of(unusedBits), bytes)
}

export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, 'utf8'))
}

/** Dotted decimal. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

/** UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 4.1.2.5). */
export function time(milliseconds: number): Buffer {
  const digits = `${new Date(milliseconds).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`
  return digits < '2050' ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits))
}

export function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.of(tag), length(body.length), body])
}

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes)
  const digits: number[] = []
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256)
  return Buffer.of(0x80 + digits.length, ...digits)
}

function base128(value: number): number[] {
  const groups = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift(128 + (rest % 128))
  return groups
}
