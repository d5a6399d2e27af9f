/** Reads aggregate reports as they come: RFC 9990, RFC 7489, drafts, with or without a namespace, elements in any order,
 *  words in any case.
 *  Never:  follows a DTD or an entity; holds more than the rows that differ.
 *  Fails:  throws ReportError with what is wrong. */
import sax, { type SAXParser } from 'sax'
import { parseIp } from '../qmail/ip-key.ts'
import { ReportError } from '../reports/report-error.ts'
import {
  type AggregateReport,
  type ReportedDisposition,
  type ReportedRow,
  reportedDispositions,
} from './aggregate-report.ts'

/** `strictEntities`: the five of XML only; the parser's types lack this option. */
const parserOptions = { trim: false, strictEntities: true }
const depthMax = 16
const sliceBytes: number = 16 * 1024
const rowsMax = 200_000
/** Of an element; and in all of a row's results and reasons. */
const textBytesMax = 4096
const attributesMax = 50
const foundMax = 20
const reasonsMax = 5
const wordBytesMax = 256

/** Bytes in, in pieces; `end` has the report. */
export class ReportReader {
  private readonly sax: SAXParser = sax.parser(true, parserOptions)
  private readonly decoder = new TextDecoder('utf-8', { fatal: true })
  private readonly path: string[] = []
  private attributes = 0
  private text = ''
  private outerDepth = 0
  private isOver = false
  private readonly facts = new Map<string, string>()
  private row: RowDraft = newRow()
  private rowCount = 0
  private readonly rows = new Map<string, ReportedRow>()

  constructor() {
    const handlers: Partial<SAXParser> = {
      onerror(error) {
        throw new ReportError(`it is no XML: ${error.message.split('\n', 1)[0] ?? ''}`)
      },
      ondoctype() {
        throw new ReportError('it has a DTD, which no report needs')
      },
      onopentagstart: ({ name }) => this.open(name),
      onattribute: () => {
        if (++this.attributes > attributesMax) throw new ReportError('an element has too many attributes')
      },
      onclosetag: () => this.close(),
      ontext: (text) => this.gather(text),
      oncdata: (text) => this.gather(text),
    }
    Object.assign(this.sax, handlers)
  }

  /** In slices: the parser holds its limits between them. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.isOver; at += sliceBytes)
      this.sax.write(this.decoded(bytes.subarray(at, at + sliceBytes)))
  }

  end(): AggregateReport {
    // What follows a report is ignored, such as a wrapper that was not closed.
    if (!this.isOver) this.sax.write(this.decoded()).close()
    if (!this.isOver) throw new ReportError('it is no report: there is no feedback in it')
    return this.report()
  }

  private decoded(bytes?: Uint8Array): string {
    try {
      return bytes === undefined ? this.decoder.decode() : this.decoder.decode(bytes, { stream: true })
    } catch {
      throw new ReportError('it is not in UTF-8')
    }
  }

  private open(tag: string): void {
    const name = tag.slice(tag.indexOf(':') + 1).toLowerCase()
    if (this.path.length === 0 && name !== 'feedback') {
      // Some reporters put it around the report.
      if (name !== 'schema') throw new ReportError(`it is no report: it is a <${name.slice(0, 50)}>`)
      this.outerDepth++
    }
    if (this.outerDepth + this.path.length >= depthMax)
      throw new ReportError(`elements are nested deeper than ${depthMax}`)
    if (this.path.length === 0 && name === 'schema') return
    this.path.push(name)
    this.attributes = 0
    this.text = ''
    const where = this.path.join(' ')
    if (where === 'feedback record') {
      if (++this.rowCount > rowsMax) throw new ReportError(`it has more than ${rowsMax} rows`)
      this.row = newRow()
    }
    if (/^feedback record auth_results (?:dkim|spf)$/.test(where)) this.row.result = new Map()
  }

  private gather(text: string): void {
    this.text += text
    if (this.text.length > textBytesMax) throw new ReportError(`an element is longer than ${textBytesMax} bytes`)
  }

  private close(): void {
    if (this.path.length === 0) return
    const [, section, ...inner] = this.path
    const name = inner.join(' ')
    const value = this.text.trim()
    this.path.pop()
    if (section === undefined) this.isOver = true
    this.text = ''
    if (section === 'record') this.closeInRow(name, value)
    else if (section !== undefined && name !== '') this.facts.set(`${section} ${name}`, cut(value))
  }

  private closeInRow(name: string, value: string): void {
    const { row } = this
    const result = /^auth_results (dkim|spf)(?: (domain|result))?$/.exec(name)
    if (name === '') return this.keepRow()
    if (name === 'row policy_evaluated reason type' && value !== '') row.reasons.push(cut(value.toLowerCase()))
    else if (result === null) row.facts.set(name, value)
    else if (result[2] !== undefined) row.result.set(result[2], value.toLowerCase())
    else
      row.found.push(`${result[1]}=${cut(row.result.get('result') || 'none')} ${cut(row.result.get('domain') ?? '')}`)
  }

  private keepRow(): void {
    const { facts, reasons, found } = this.row
    const fact = (name: string): string => (facts.get(name) ?? '').toLowerCase()
    const ip = parseIp(fact('row source_ip'))?.toString()
    if (ip === undefined) throw new ReportError(`'${fact('row source_ip').slice(0, 50)}' is no address`)
    const row: ReportedRow = {
      ip,
      count: wholeNumber(fact('row count'), 'count'),
      disposition: dispositionOf(fact('row policy_evaluated disposition')),
      dkim: fact('row policy_evaluated dkim') === 'pass',
      spf: fact('row policy_evaluated spf') === 'pass',
      from: cut(fact('identifiers header_from')),
      reasons: [...new Set(reasons)].slice(0, reasonsMax),
      found: [...new Set(found)].slice(0, foundMax).map((one) => one.trimEnd()),
    }
    const key = [row.ip, row.disposition, row.dkim, row.spf, row.from, ...row.reasons].join('\0')
    const known = this.rows.get(key)
    this.rows.set(key, known === undefined ? row : { ...known, count: known.count + row.count })
  }

  private report(): AggregateReport {
    const fact = (name: string): string => this.facts.get(name) ?? ''
    const begin = wholeNumber(fact('report_metadata date_range begin'), 'begin')
    const end = wholeNumber(fact('report_metadata date_range end'), 'end')
    const [id, domain] = [fact('report_metadata report_id'), fact('policy_published domain').toLowerCase()]
    if (end < begin) throw new ReportError(`it ends (${end}) before it begins (${begin})`)
    if (id === '') throw new ReportError('it has no report_id')
    if (domain === '') throw new ReportError('it does not say of which domain it is')
    return {
      organization: fact('report_metadata org_name'),
      contact: fact('report_metadata email'),
      id,
      begin,
      end,
      domain: domain.replace(/\.$/, ''),
      policy: fact('policy_published p').toLowerCase(),
      rows: [...this.rows.values()],
    }
  }
}

interface RowDraft {
  readonly facts: Map<string, string>
  readonly reasons: string[]
  readonly found: string[]
  /** Of the `dkim` or `spf` that is open. */
  result: Map<string, string>
}

function newRow(): RowDraft {
  return { facts: new Map(), reasons: [], found: [], result: new Map() }
}

function dispositionOf(text: string): ReportedDisposition {
  // RFC 9990 has `pass` beside `none`, which for a reader are the same: nothing was done.
  return reportedDispositions.find((one) => one === text) ?? 'none'
}

function wholeNumber(text: string, what: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new ReportError(`its ${what} is '${text.slice(0, 50)}', which is no number`)
  return Number(text)
}

function cut(text: string): string {
  return text.slice(0, wordBytesMax)
}
