/** Generated passwords: 100 bits, in letters and digits that are not mistaken for one another. */
import type { Random } from '../../system/random.ts'

/** 32 of them, so that a random byte picks each with the same chance. */
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789'
const groups = 4
const groupLength = 5

export function newPassword(random: Random): string {
  const letters = [...random.bytes(groups * groupLength)].map((byte) => alphabet[byte % alphabet.length] ?? '')
  const parts: string[] = []
  for (let at = 0; at < letters.length; at += groupLength) parts.push(letters.slice(at, at + groupLength).join(''))
  return parts.join('-')
}
