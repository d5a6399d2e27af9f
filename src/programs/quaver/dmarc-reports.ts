/** `quaver dmarc reports`: what others have reported about our domains, and which reports we owe others. */
import { describeError } from '../../base/outcome.ts'
import { type DomainSums, ReportSums, type SourceSums } from '../../protocols/dmarc/report-sums.ts'
import { receivedReports } from '../../stores/dmarc-reports/received-reports.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { machineAddresses } from './machine/checks.ts'
import { harmless, print, printJson, styled, table, when } from './output.ts'

export interface ReportsOptions extends GlobalOptions {
  readonly domain?: string
  readonly days: number
}

const dayMilliseconds = 86_400_000
/** A person looks at the worst; --json has all. */
const sourcesShown = 40

/** As policy tells it. */
type OwedRow =
  | { readonly kind: 'settings'; readonly mode: string; readonly from?: string; readonly why?: string }
  | {
      readonly kind: 'pending'
      readonly day: number
      readonly domain: string
      readonly messages: number
      readonly to: readonly string[]
      readonly why?: string
    }
  | {
      readonly kind: 'sent'
      readonly day: number
      readonly domain: string
      readonly to: string
      readonly state: string
      readonly atMs: number
    }

/** What would be sent, and what was. */
export async function pending(options: ReportsOptions): Promise<void> {
  const rows: OwedRow[] = []
  const take = (row: unknown): void => void rows.push(row as OwedRow)
  await askProgram(requireHome(options), 'policy-admin', { op: 'reports' }, take)
  const { domain } = options
  const wanted = rows.filter((row) => row.kind === 'settings' || domain === undefined || row.domain === domain)
  if (options.json === true) return printJson(wanted)
  const settings = wanted.find((row) => row.kind === 'settings')
  const who = settings?.why ?? `from ${settings?.from ?? '?'}`
  print(harmless(`control/dmarcreports: ${settings?.mode ?? '?'}; ${who}`))
  const owed = wanted.filter((row) => row.kind === 'pending')
  const sent = wanted.filter((row) => row.kind === 'sent')
  if (owed.length === 0) print('nothing waits to be reported')
  else {
    const lines = owed.map(({ day: of, messages, to, why, ...row }) =>
      [dayText(of), row.domain, String(messages), why === undefined ? `to ${to.join(', ')}` : `not sent: ${why}`].map(
        harmless,
      ),
    )
    print(table([['day (UTC)', 'domain', 'messages', ''], ...lines]))
  }
  if (sent.length === 0) return
  print('\nof the last seven days:')
  print(
    table(
      sent.map(({ day: of, to, state, atMs, ...row }) =>
        [dayText(of), row.domain, `to ${to}`, when(atMs), stateText(state)].map(harmless),
      ),
    ),
  )
}

function stateText(state: string): string {
  return state === 'queued' ? '' : state === 'failed' ? 'came back' : 'not handed to the queue yet'
}

function dayText(ofEpoch: number): string {
  return new Date(ofEpoch * dayMilliseconds).toISOString().slice(0, 10)
}

export function reports(options: ReportsOptions): void {
  const { domain: wanted, days } = options
  const home = requireHome(options)
  const domains = read(home, realClock.now() - days * dayMilliseconds)
    .sums()
    .filter(({ domain }) => wanted === undefined || domain === wanted.toLowerCase())
  if (options.json === true) return printJson(domains)
  if (domains.length === 0) {
    const of = wanted === undefined ? '' : ` about ${wanted}`
    return print(`no reports${of} in the last ${days} days; 'quaver dns' shows the record by which they are asked for`)
  }
  const own = new Set(machineAddresses())
  print(domains.map((domain) => shown(domain, own)).join('\n\n'))
}

function read(home: Home, sinceMs: number): ReportSums {
  const sums = new ReportSums()
  const tell = (text: string): void => void process.stderr.write(`quaver: ${text}\n`)
  try {
    for (const report of receivedReports(home, sinceMs, tell)) sums.add(report, report.sentBy)
  } catch (error) {
    if (errorCode(error) === 'EACCES')
      throw new CommandError(`${describeError(error)}: the reports are root's to read: ask as root`)
    throw error
  }
  return sums
}

function shown(domain: DomainSums, own: ReadonlySet<string>): string {
  const { reports: count, reporters, messages, aligned, sources } = domain
  const from = reporters.slice(0, 5).join(', ') + (reporters.length > 5 ? ', …' : '')
  const share = messages === 0 ? '' : `, ${percent(aligned, messages)} aligned`
  const name = styled('bold', harmless(domain.domain))
  const head = `${name}  ${day(domain.begin)} to ${day(domain.end)}: ${messages} messages${share}`
  const rows = sources.slice(0, sourcesShown).map((source) => sourceRow(source, own))
  const more = sources.length - sourcesShown
  return [
    head,
    harmless(`${count === 1 ? '1 report' : `${count} reports`} of ${from}`),
    table([['  source', 'messages', 'aligned', 'DKIM', 'SPF', 'kept apart', 'refused', ''], ...rows]),
    ...(more > 0 ? [`  and ${more} more sources (--json shows all)`] : []),
  ].join('\n')
}

function sourceRow(source: SourceSums, own: ReadonlySet<string>): string[] {
  const { ip, messages, aligned, dkim, spf, dispositions, found } = source
  const numbers = [messages, aligned, dkim, spf, dispositions.quarantine, dispositions.reject]
  const who = own.has(ip) ? 'this machine' : ''
  const instead =
    aligned === messages ? '' : `not aligned: ${found.length === 0 ? 'nothing speaks for it' : found.join(', ')}`
  const style = aligned === messages ? 'green' : 'yellow'
  const note = [who, instead].filter((text) => text !== '').join('; ')
  return [styled(style, `  ${ip}`), ...numbers.map((number) => (number === 0 ? '-' : String(number))), harmless(note)]
}

function percent(part: number, whole: number): string {
  // Not rounded up: 100 % means all.
  return `${Math.floor((part * 1000) / whole) / 10} %`
}

function day(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 10)
}
