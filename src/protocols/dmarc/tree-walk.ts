/** The walk up the tree of names to the organization that a domain belongs to (RFC 9989 §4.10).
 *  Asks:   for texts of names, one after the other, by `yield`; at most eight a walk. */
import type { ByteString } from '../../base/byte-string.ts'
import { type DmarcRecord, recordAmong } from './record.ts'

/** What the DNS says of a name. */
export type TextAnswer =
  | { readonly kind: 'found'; readonly texts: readonly ByteString[] }
  /** The name exists, or may, and has none. */
  | { readonly kind: 'none' }
  /** There is no such name (NXDOMAIN). */
  | { readonly kind: 'absent' }
  | { readonly kind: 'trouble'; readonly why: string }

/** Gives names whose TXT records are wanted, gets what the DNS says. */
export type Asking<T> = Generator<string, T, TextAnswer>

export interface RecordAt {
  readonly domain: string
  readonly record: DmarcRecord
}

export interface Walk {
  /** From the bottom up. */
  readonly records: readonly RecordAt[]
  readonly organization: string
  /** Why the walk did not reach its end: then the rest means nothing. */
  readonly trouble: string | undefined
}

const labelsMax = 7

/** `domain` in lower case, as it is in the DNS. */
export function* walkFrom(domain: string): Asking<Walk> {
  const records: RecordAt[] = []
  let trouble: string | undefined
  for (let name: string | undefined = domain; name !== undefined; name = above(name)) {
    const answer: TextAnswer = yield `_dmarc.${name}`
    if (answer.kind === 'trouble') {
      trouble = `_dmarc.${name}: ${answer.why}`
      break
    }
    const record = answer.kind === 'found' ? recordAmong(answer.texts) : undefined
    if (record === undefined) continue
    records.push({ domain: name, record })
    if (record.isSuffix !== undefined) break
  }
  return { records, organization: organizationOf(domain, records), trouble }
}

function above(name: string): string | undefined {
  const labels = name.split('.')
  if (labels.length === 1) return undefined
  return labels.slice(labels.length > labelsMax ? labels.length - labelsMax : 1).join('.')
}

/** §4.10.2. */
function organizationOf(domain: string, records: readonly RecordAt[]): string {
  const top = records.at(-1)
  if (top === undefined) return domain
  if (top.record.isSuffix !== true || top.domain === domain) return top.domain
  // One label below the suffix.
  const labels = domain.split('.')
  return labels.slice(-(top.domain.split('.').length + 1)).join('.')
}
