/** When a certificate is renewed: in the window that the authority suggests (ARI, RFC 9773), else when a third of its life
 *  is left. And when an attempt that failed is made again.
 *  Never:  knows the time, or makes random numbers: `dice` is from 0 to 1. */
import { elementsOf } from '../x509/der-reader.ts'

export interface Period {
  /** Milliseconds since 1970, as all times here. */
  readonly fromMs: number
  readonly toMs: number
}

const hourMilliseconds = 3_600_000
const keyIdentifierExtension = '551d23'
/** RFC 9773 §4.3.3 leaves it to us where the server says nothing sensible. */
const askAgainUsual: number = 6 * hourMilliseconds
const askAgainMin: number = hourMilliseconds
const askAgainMax: number = 24 * hourMilliseconds

/** A moment in the window. Without one: after two thirds of the life, up to a twentieth of it earlier. */
export function renewalMoment(validity: Period, window: Period | undefined, dice: number): number {
  if (window !== undefined) return window.fromMs + dice * (window.toMs - window.fromMs)
  const life = validity.toMs - validity.fromMs
  return validity.fromMs + life * (2 / 3 - dice / 20)
}

/** When the window is asked for again, in milliseconds. `retryAfterMs`: what the authority said. */
export function windowAskedAgain(retryAfterMs: number | undefined): number {
  return Math.min(askAgainMax, Math.max(askAgainMin, retryAfterMs ?? askAgainUsual))
}

/** Milliseconds from the last of `failures` attempts in a row to the next. An authority that is away is asked sooner than one
 *  that refuses: refused attempts must not reach its limits (five in an hour). */
export function retryDelay(failures: number, isAway: boolean, dice: number): number {
  const [first, most] = isAway
    ? [hourMilliseconds / 6, 6 * hourMilliseconds]
    : [hourMilliseconds, 24 * hourMilliseconds]
  return Math.min(most, first * 2 ** (failures - 1)) * (0.9 + dice / 5)
}

/** The id for renewalInfo, and for what a new order replaces: the authority's key and the serial number (RFC 9773 §4.1).
 *  Undefined where the certificate does not name its authority's key. */
export function renewalIdOf(certificateDer: Uint8Array): string | undefined {
  const [certificate] = elementsOf(certificateDer) ?? []
  const [signed] = elementsOf(certificate?.content ?? new Uint8Array()) ?? []
  const parts = elementsOf(signed?.content ?? new Uint8Array()) ?? []
  const serial = parts.find(({ tag }) => tag === 0x02)?.content
  const extensions = parts.find(({ tag }) => tag === 0xa3)?.content
  const keyIdentifier = extensions === undefined ? undefined : keyIdentifierIn(extensions)
  return serial === undefined || keyIdentifier === undefined
    ? undefined
    : `${base64url(keyIdentifier)}.${base64url(serial)}`
}

function keyIdentifierIn(extensions: Uint8Array): Uint8Array | undefined {
  for (const { content } of elementsOf(elementsOf(extensions)?.[0]?.content ?? new Uint8Array()) ?? []) {
    const [identifier, ...rest] = elementsOf(content) ?? []
    if (Buffer.from(identifier?.content ?? []).toString('hex') !== keyIdentifierExtension) continue
    const value = elementsOf(rest.at(-1)?.content ?? new Uint8Array())?.[0]
    return elementsOf(value?.content ?? new Uint8Array())?.find(({ tag }) => tag === 0x80)?.content
  }
  return undefined
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
