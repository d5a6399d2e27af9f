/** What is wrong with the text of a control file: its form, each line against its row's check, keys that two lines give
 *  different values.
 *  Never:  reads files; shows what is in a secret. */
import { type ByteString, toText } from '../../base/byte-string.ts'
import { contentLines, parseLine, type WrittenLine } from '../../protocols/qmail/control-format.ts'
import { repeatedKeys, textFault, valueFault } from './content.ts'
import type { ControlFile, LineFault, Surroundings } from './form.ts'
import { noColon } from './line-checks.ts'
import { controlFiles, type ControlName } from './table.ts'

export interface Finding extends LineFault {
  /** Below the home. */
  readonly file: string
  /** From 1; undefined: the file as a whole. */
  readonly line: number | undefined
}

export function inspectControlFile(name: ControlName, text: ByteString, surroundings: Surroundings): Finding[] {
  const file: ControlFile = controlFiles[name]
  const at = (line: number | undefined, { fault, remedy }: LineFault): Finding => {
    return { file: `control/${name}`, line, fault, remedy }
  }
  const unreadable = textFault(text)
  if (unreadable !== undefined)
    return [at(undefined, { fault: unreadable, remedy: 'write it anew with a plain text editor' })]
  const encoding = inspectLineEnds(text, `control/${name}`)
  const value = valueFault(file, text)
  if (value !== undefined)
    return [...encoding, at(1, { fault: value.replace(/^line 1 /, ''), remedy: remedyFor(file) })]
  const repeated = file.form === 'map' && file.joinsRepeats !== true ? repeatedKeys(text) : []
  return [
    ...encoding,
    ...inspectLines(file, text, surroundings).map(({ line, ...fault }) => at(line, fault)),
    ...repeated.map(({ key, lines: [first, last] }) =>
      at(last, {
        fault: `is about '${toText(key)}' as line ${first} is, and only line ${last} counts`,
        remedy: 'keep one of them',
      }),
    ),
  ]
}

/** A file with Windows line ends works here; other programs that read qmail's files take the CR for content. */
export function inspectLineEnds(text: ByteString, file: string): Finding[] {
  const remedy = `dos2unix ${file}, or save it as UTF-8 without a byte order mark and with LF line ends`
  if (text.startsWith('\xef\xbb\xbf'))
    return [{ file, line: 1, fault: 'begins with a byte order mark, which other programs take for content', remedy }]
  const lines = text.split('\n')
  const windows = lines.findIndex((line) => line.endsWith('\r'))
  if (windows >= 0)
    return [
      { file, line: windows + 1, fault: 'ends in CR LF, of which other programs take the CR for content', remedy },
    ]
  const old = lines.findIndex((line) => line.includes('\r'))
  return old < 0
    ? []
    : [{ file, line: old + 1, fault: 'has a CR in it, which ends a line here and nowhere else', remedy }]
}

function inspectLines(
  file: ControlFile,
  text: ByteString,
  surroundings: Surroundings,
): (LineFault & { readonly line: number })[] {
  const [lines, surplus] = linesOf(file, text)
  const earlier: ByteString[] = []
  const found = lines.flatMap(({ line, text: written }) => {
    const fault = file.check?.(written, surroundings, earlier) ?? mapFault(file, written)
    earlier.push(written)
    return fault === undefined ? [] : [{ line, ...fault }]
  })
  const more = { fault: 'is not read: the first line alone is', remedy: 'take it out, or put a # in front' }
  return [...found, ...surplus.slice(0, 1).map(({ line }) => ({ line, ...more }))]
}

/** The lines that are read, and the other ones that are neither empty nor comments. */
function linesOf({ form }: ControlFile, text: ByteString): readonly [WrittenLine[], WrittenLine[]] {
  if (form === 'list' || form === 'map') return [contentLines(text), []]
  const value = parseLine(text)
  const rest = contentLines(text).filter(({ line }) => line > 1)
  return [value === '' || form === 'number' ? [] : [{ line: 1, text: value }], rest]
}

function mapFault({ form }: ControlFile, line: ByteString): LineFault | undefined {
  return form === 'map' && !line.includes(':') ? noColon : undefined
}

function remedyFor({ form, unit, fallback }: ControlFile): string {
  const until =
    fallback === undefined ? '' : `; until then ${fallback === 'me' ? 'control/me' : fallback} stands for it`
  if (form === 'line') return `write a value on its first line, or remove the file${until}`
  return `write ${unit === 'bytes' ? '50M or 52428800' : unit === 'seconds' ? '20m or 1200' : 'a whole number'} alone on its first line${until}`
}
