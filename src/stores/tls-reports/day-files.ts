/** HOME/tls-reports/DAY.json: results of TLS with other servers on a day (UTC), by domain. `remote` writes, root reads.
 *  Knows:  the form. Never: counts, or says which day it is.
 *  Fails:  a damaged file reads as absent; writing throws as Node does. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  DayCounts,
  type FailureCount,
  failureTypes,
  type PolicyCount,
  policyTypes,
} from '../../protocols/tlsrpt/day.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

const fileBytesMax: number = 64 * 1024 * 1024

export class DayFiles {
  private readonly files: Files
  private readonly directory: string

  constructor(files: Files, home: Home) {
    this.files = files
    this.directory = home.tlsReports
  }

  async read(day: string): Promise<DayCounts> {
    const bytes = await this.files.read(this.path(day), fileBytesMax)
    return bytes === undefined ? new DayCounts() : parse(bytes)
  }

  async write(day: string, counts: DayCounts): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(counts.entries()))
    await replaceFile(this.files, this.path(day), Buffer.from(`${text}\n`), 0o600)
  }

  /** As `2026-12-01`, the oldest first. */
  async days(): Promise<string[]> {
    const names = await readdir(this.directory)
    return names.flatMap((name) => /^(\d{4}-\d\d-\d\d)\.json$/.exec(name)?.[1] ?? []).sort()
  }

  async remove(day: string): Promise<void> {
    await this.files.remove(this.path(day))
  }

  private path(day: string): string {
    return join(this.directory, `${day}.json`)
  }
}

function parse(bytes: Buffer): DayCounts {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as unknown
    return DayCounts.of(
      Object.entries(asRecord(value)).map(([domain, policies]) => {
        return [domain, Array.isArray(policies) ? policies.flatMap(policyIn) : []] as const
      }),
    )
  } catch {
    return new DayCounts()
  }
}

function policyIn(value: unknown): PolicyCount[] {
  const { type, strings, exchangers, successes, failures, details } = asRecord(value)
  const known = policyTypes.find((one) => one === type)
  if (known === undefined || !isCount(successes) || !isCount(failures) || !Array.isArray(details)) return []
  return [
    {
      type: known,
      strings: textsIn(strings),
      exchangers: textsIn(exchangers),
      successes,
      failures,
      details: details.flatMap(detailIn),
    },
  ]
}

function detailIn(value: unknown): FailureCount[] {
  const { type, exchanger, address, ownAddress, why, count } = asRecord(value)
  const known = failureTypes.find((one) => one === type)
  const texts = [exchanger, address, ownAddress, why].map((text) => (typeof text === 'string' ? text : ''))
  const [name = '', peer = '', own = '', reason = ''] = texts
  return known === undefined || !isCount(count)
    ? []
    : [{ type: known, exchanger: name, address: peer, ownAddress: own, why: reason, count }]
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : []
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
