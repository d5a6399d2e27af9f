/** Reads what we found out about a message in the field that we put on top of it. For mail that has come in by SMTP: mail
 *  handed in on this machine has no results. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { type HeaderField, valueOf } from '../dkim/header-fields.ts'
import { claimsToBeOurs, type IsOurs, partAt } from './own-fields.ts'

export interface ReadResult {
  /** In lower case. */
  readonly method: string
  readonly result: string
  /** `header.from`, `header.d`: the last of a name; values in lower case. */
  readonly properties: ReadonlyMap<string, ByteString>
}

const resultsMax = 50

/** Of the topmost field that is ours: those below it came with the message. Empty if there is none, or it cannot be read. */
export function ownResultsIn(fields: readonly HeaderField[], isOurs: IsOurs): readonly ReadResult[] {
  const field = fields.find((one) => claimsToBeOurs(one, isOurs))
  if (field === undefined) return []
  const value = valueOf(field)
  const results: ReadResult[] = []
  for (let at = partAt(value, 0)?.next ?? Infinity; at < value.length && results.length < resultsMax; ) {
    const part = partAt(value, at)
    if (part === undefined) return []
    const result = resultIn(part.text)
    if (result !== undefined) results.push(result)
    at = part.next
  }
  return results
}

function resultIn(text: ByteString): ReadResult | undefined {
  const words = [...text.matchAll(/([A-Za-z0-9.-]+)=(?:"((?:[^"\\]|\\.)*)"|([^ \t\n"]*))/g)].map(
    ([, name = '', quoted, plain = '']) =>
      [lowerAscii(name), lowerAscii(quoted?.replace(/\\(.)/g, '$1') ?? plain)] as const,
  )
  const [first, ...others] = words
  return first === undefined ? undefined : { method: first[0], result: first[1], properties: new Map(others) }
}

/** The domain that is proven to have sent the message: its author's, by DMARC, or else one that has signed it. */
export function provenDomain(results: readonly ReadResult[]): ByteString | undefined {
  const named = (method: string, property: string): ByteString | undefined =>
    results
      .filter((one) => one.method === method && one.result === 'pass')
      .map(({ properties }) => properties.get(property) ?? '')
      .find((domain) => domain !== '')
  return named('dmarc', 'header.from') ?? named('dkim', 'header.d')
}
