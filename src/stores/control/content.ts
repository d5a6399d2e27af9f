/** What the content of any control file must be to come into force.
 *  Never:  reads files; control.ts does. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import { contentLines, parseLine, parseNumber } from '../../protocols/qmail/control-format.ts'
import { type Quantity, quantityForms } from '../../protocols/qmail/quantity.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import type { ControlFile } from './form.ts'

/** Why the whole file cannot be read as text; follows the file's name. */
export function textFault(text: ByteString): string | undefined {
  const encoding = encodingFault(text)
  if (encoding !== undefined) return encoding
  const nul = text.indexOf('\0')
  return nul < 0 ? undefined : `line ${text.slice(0, nul).split('\n').length} has a NUL byte`
}

/** Why the value of a line or a number must not come into force; follows the file's name. */
export function valueFault(file: ControlFile, text: ByteString): string | undefined {
  if (file.form === 'line') return parseLine(text).trim() === '' && file.mayBeEmpty !== true ? 'is empty' : undefined
  if (file.form !== 'number') return undefined
  const quantity = quantityOf(file)
  const value = parseNumber(text, quantity)
  if (value === undefined) return `line 1 is not ${quantityForms[quantity ?? 'count']}`
  if (value < (file.least ?? 0)) return `line 1 is less than ${file.least}`
  return value > (file.most ?? value) ? `line 1 is more than ${file.most}` : undefined
}

export function quantityOf({ unit }: ControlFile): Quantity {
  return unit === 'bytes' || unit === 'seconds' ? unit : undefined
}

export interface RepeatedKey {
  readonly key: ByteString
  /** Line numbers from 1: of the first line, and of the last one, which counts. */
  readonly lines: readonly [number, number]
}

/** Keys of a map that two lines give different values. */
export function repeatedKeys(text: ByteString): RepeatedKey[] {
  const seen = new Map<ByteString, { line: number; value: ByteString }>()
  const repeated = new Map<ByteString, RepeatedKey>()
  for (const { line, text: written } of contentLines(text)) {
    const colon = written.indexOf(':')
    if (colon < 0) continue
    const key = lowerAscii(written.slice(0, colon))
    const value = written.slice(colon + 1)
    const first = seen.get(key)
    if (first === undefined) seen.set(key, { line, value })
    else if (first.value !== value || repeated.has(key)) repeated.set(key, { key, lines: [first.line, line] })
  }
  return [...repeated.values()]
}
