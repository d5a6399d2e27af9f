/** A sender's name and address: lines `key:name:address:` of a person's rules, kept as a CDB by ofmipname. The
 *  key is an envelope sender as rewriting left it; its mail leaves from `address`, and `name` is the author in From. */
import type { ByteString } from '../../base/byte-string.ts'
import { type CdbReader, CdbWriter } from '../qmail/cdb.ts'
import { parseList } from '../qmail/control-format.ts'

export interface SenderRule {
  readonly name: ByteString
  readonly address: ByteString
}

/** The whole file. Remarks and lines of another form are passed over. */
export function compileSenderRules(text: ByteString): { readonly cdb: Buffer; readonly rules: number } {
  const writer = new CdbWriter()
  let rules = 0
  for (const line of parseList(text)) {
    const [key, name, address, end] = line.split(':', 4)
    // The last colon must be there: a line that was cut is no rule.
    if (key === undefined || name === undefined || address === undefined || end === undefined) continue
    writer.add(key, `${name}\0${address}`)
    rules++
  }
  return { cdb: writer.finish(), rules }
}

/** Throws CdbError on a file that is none. */
export function findSenderRule(rules: CdbReader, sender: ByteString): SenderRule | undefined {
  const data = rules.get(sender)
  if (data === undefined) return undefined
  const end = data.indexOf('\0')
  if (end < 0) return undefined
  const address = data.slice(end + 1)
  return { name: data.slice(0, end), address: address.endsWith('\0') ? address.slice(0, -1) : address }
}
