/** HOME/reports/received: reports of others about our domains (DMARC), a JSON file each, `DAY.DIGEST.json`: the day on which
 *  the report ends, and a digest of its sender, domain and id, so that a report that comes twice counts once.
 *  Never:  grows past `keptMax` files, `keptBytesMax`, or `keptDays` days; the oldest go.
 *  Fails:  throws as the file system does. A file that cannot be read is reported, and the others count. */
import { createHash } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { toBuffer } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { AggregateReport, ReportedRow } from '../../protocols/dmarc/aggregate-report.ts'
import { errorCode, type Files, readSmallFile, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export interface ReceivedReport extends AggregateReport {
  /** The domain that is proven to have sent it. */
  readonly sentBy: string
}

const keptDays = 400
const keptMax = 20_000
const keptBytesMax: number = 512 * 1024 * 1024
const fileBytesMax: number = 64 * 1024 * 1024
const dayMilliseconds = 86_400_000

/** False: it is there already. */
export async function keepReport(files: Files, home: Home, report: ReceivedReport, nowMs: number): Promise<boolean> {
  const directory = directoryOf(home)
  const name = `${dayOf(report.end * 1000)}.${digest(report)}.json`
  if (fileNames(directory).includes(name)) return false
  const bytes = Buffer.from(JSON.stringify(report))
  await replaceFile(files, join(directory, name), bytes, 0o600)
  await removeOldest(files, directory, nowMs)
  return true
}

/** Of reports that end on that day or later, the oldest first. */
export function* receivedReports(
  home: Home,
  sinceMs: number,
  onProblem: (text: string) => void,
): Generator<ReceivedReport> {
  const directory = directoryOf(home)
  const since = dayOf(sinceMs)
  for (const name of fileNames(directory)) {
    if (name.slice(0, since.length) < since) continue
    try {
      const bytes = readSmallFile(join(directory, name), fileBytesMax)
      // Undefined: removed meanwhile, as the oldest are.
      if (bytes !== undefined) yield readReport(bytes)
    } catch (error) {
      onProblem(`${join(directory, name)}: ${describeError(error)}`)
    }
  }
}

function directoryOf({ reports }: Pick<Home, 'reports'>): string {
  return join(reports, 'received')
}

/** Every field has its length before it, so that different fields never give the same text. */
function digest({ sentBy, domain, id }: ReceivedReport): string {
  const text = [sentBy, domain, id].map((field) => `${field.length}:${field}`).join('')
  return createHash('sha256').update(toBuffer(text)).digest('hex').slice(0, 32)
}

function dayOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10)
}

/** By day. Empty if no report ever came; throws if the directory may not be read. */
function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^\d{4}-\d\d-\d\d\.[0-9a-f]{32}\.json$/.test(name))
      .sort()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

async function removeOldest(files: Files, directory: string, nowMs: number): Promise<void> {
  const oldest = dayOf(nowMs - keptDays * dayMilliseconds)
  let bytes = 0
  let count = 0
  for (const name of fileNames(directory).reverse()) {
    const path = join(directory, name)
    bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0
    if (name < oldest || ++count > keptMax || bytes > keptBytesMax) await files.remove(path)
  }
}

/** Checks every field: another version, or a person, may have written the file. Throws. */
function readReport(bytes: Buffer): ReceivedReport {
  const value: unknown = JSON.parse(bytes.toString('utf8'))
  const report = value as ReceivedReport
  const texts = [report.organization, report.contact, report.id, report.domain, report.policy, report.sentBy]
  const isWhole =
    texts.every((text) => typeof text === 'string') &&
    [report.begin, report.end].every(Number.isSafeInteger) &&
    Array.isArray(report.rows) &&
    report.rows.every(isRow)
  if (!isWhole) throw new Error('is not what Quaver writes; remove it')
  return report
}

function isRow(row: ReportedRow): boolean {
  return (
    typeof row.ip === 'string' &&
    Number.isSafeInteger(row.count) &&
    typeof row.disposition === 'string' &&
    typeof row.dkim === 'boolean' &&
    typeof row.spf === 'boolean' &&
    typeof row.from === 'string' &&
    Array.isArray(row.reasons) &&
    Array.isArray(row.found)
  )
}
