/** HOME/reports/failed: an empty file for each report of ours that bounced, named by the token in its Message-ID. Written by
 *  the account that takes the bounce (alias), read by policy, which sent the report.
 *  Never:  grows past `filesMax`. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode, type Files } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

const filesMax = 2_000
const keptMilliseconds: number = 45 * 86_400_000
const tokenForm = /^[0-9a-f]{32}$/

/** Empty if unreadable: then reports go to all addresses. */
export function failedReports({ reports }: Pick<Home, 'reports'>): readonly string[] {
  try {
    return readdirSync(join(reports, 'failed')).filter((name) => tokenForm.test(name))
  } catch {
    return []
  }
}

export async function noteFailedReport(
  files: Files,
  home: Pick<Home, 'reports'>,
  token: string,
  nowMs: number,
): Promise<void> {
  const directory = join(home.reports, 'failed')
  const known = failedReports(home)
  for (const name of known) {
    const modified = statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? nowMs
    if (nowMs - modified > keptMilliseconds) await files.remove(join(directory, name))
  }
  if (!tokenForm.test(token) || known.length >= filesMax) return
  try {
    await (await files.create(join(directory, token), 0o644)).close()
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
  }
}
