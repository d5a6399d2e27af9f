/** `quaver tls report`: results of TLS with other servers, day by day, as remote counted them. */
import { toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import type { DayCounts, PolicyCount } from '../../../protocols/tlsrpt/day.ts'
import { makeReport } from '../../../protocols/tlsrpt/report.ts'
import { Control } from '../../../stores/control/control.ts'
import { DayFiles } from '../../../stores/tls-reports/day-files.ts'
import { realClock } from '../../../system/clock.ts'
import { errorCode, realFiles } from '../../../system/files.ts'
import { type GlobalOptions, requireHome } from '../context.ts'
import { CommandError, exitCode } from '../exit.ts'
import { harmless, print, printJson, styled, table } from '../output.ts'

export interface ReportOptions extends GlobalOptions {
  readonly day?: string
  readonly failures?: true
}

const policyWords = { tlsa: 'DANE', sts: 'MTA-STS', 'no-policy-found': 'none' } as const

export async function report(domain: string | undefined, options: ReportOptions): Promise<void> {
  const home = requireHome(options)
  if (options.day !== undefined && !/^\d{4}-\d\d-\d\d$/.test(options.day))
    throw new CommandError(`--day ${harmless(options.day)} is no day: write it as 2026-12-31`, exitCode.usage)
  const files = new DayFiles(realFiles, home)
  const days = await read(home.tlsReports, async () => {
    const known = await files.days()
    const wanted = options.day === undefined ? known : known.filter((day) => day === options.day)
    return await Promise.all(wanted.map(async (day) => ({ day, counts: await files.read(day) })))
  })
  const rows = rowsOf(days, domain, options.failures === true)
  if (options.json === true) {
    const organization = toText(new Control(home.control, realClock).optionalLine('me') ?? '')
    return printJson(rows.map((row) => makeReport({ organization, contact: `postmaster@${organization}`, ...row })))
  }
  print(rows.length === 0 ? 'nothing was counted' : reportTable(rows))
}

export interface CountedDay {
  readonly day: string
  readonly counts: DayCounts
}

export interface Row {
  readonly day: string
  readonly domain: string
  readonly policies: readonly PolicyCount[]
}

/** Of all domains, or of one. */
export function rowsOf(days: readonly CountedDay[], domain: string | undefined, onlyFailures: boolean): Row[] {
  const wanted = domain?.toLowerCase()
  const isWanted = ({ failures }: PolicyCount): boolean => !onlyFailures || failures > 0
  return days
    .flatMap(({ day, counts }) =>
      [...counts.entries()].map(([name, policies]) => ({ day, domain: name, policies: policies.filter(isWanted) })),
    )
    .filter((row) => row.policies.length > 0 && (wanted === undefined || row.domain === wanted))
}

export function reportTable(rows: readonly Row[]): string {
  const titles = ['day', 'domain', 'policy', 'good', 'failed'].map((title) => styled('bold', title))
  return table([titles, ...rows.flatMap(lines)])
}

/** The policy, and below it why sessions failed. */
function lines({ day, domain, policies }: Row): string[][] {
  return policies.flatMap(({ type, successes, failures, details }) => {
    const sum = [day, harmless(domain), policyWords[type], String(successes), String(failures)]
    const whys = details.map((one) => {
      const where = one.exchanger === '' ? '' : `${one.exchanger} (${one.address}): `
      return ['', '', '', '', `${one.count} × ${one.type}: ${harmless(where + one.why)}`]
    })
    return [sum, ...whys]
  })
}

async function read<T>(directory: string, work: () => Promise<T[]>): Promise<T[]> {
  try {
    return await work()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    const remedy = errorCode(error) === 'EACCES' ? ': ask as root' : ''
    throw new CommandError(`${directory}: ${describeError(error)}${remedy}`)
  }
}
