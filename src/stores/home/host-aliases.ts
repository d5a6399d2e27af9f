/** Addresses that every host has, but that are no accounts: root (uid 0 receives no mail), postmaster (RFC 5321 §4.5.1, and
 *  where double bounces go) and mailer-daemon (the author of bounces). A home has a file in alias/ for each, and one for
 *  dmarc-reports, whose mail a program reads.
 *  Never:  touches an existing file, or makes one where alias/.qmail-default takes all. */
import { join } from 'node:path'
import { asOwner, type OwnerIds } from '../../system/as-owner.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import { makeMaildir } from '../maildir/make-maildir.ts'
import type { Home } from './layout.ts'

export const hostAddresses: readonly string[] = ['root', 'postmaster', 'mailer-daemon']

/** Takes reports about our domains (DMARC), and bounces of the reports that we send. */
export const reportsAlias = 'dmarc-reports'

export function hostAliasFile(home: Pick<Home, 'alias'>, name: string): string {
  return join(home.alias, `.qmail-${name}`)
}

/** Those without a file in alias/. */
export async function missingHostAliases(files: Files, home: Pick<Home, 'alias'>): Promise<string[]> {
  return await missingOf(hostAddresses, files, home)
}

async function missingOf(names: readonly string[], files: Files, home: Pick<Home, 'alias'>): Promise<string[]> {
  const isThere = async (name: string): Promise<boolean> => (await files.facts(hostAliasFile(home, name))) !== undefined
  if (await isThere('default')) return []
  const there = await Promise.all(names.map(isThere))
  return names.filter((_, at) => there[at] !== true)
}

/** Their mail waits in alias/Maildir until an administrator says who reads it. Returns the names that were made. */
export async function makeHostAliases(files: Files, home: Home, owner: OwnerIds): Promise<string[]> {
  const missing = await missingOf([...hostAddresses, reportsAlias], files, home)
  if (missing.length === 0) return []
  await asOwner(owner, async () => {
    await makeMaildir(join(home.alias, 'Maildir'))
    for (const name of missing) {
      const text = name === reportsAlias ? reportsAliasText(home, './Maildir/') : waitingText(name)
      await replaceFile(files, hostAliasFile(home, name), Buffer.from(text), 0o644)
    }
  })
  return missing
}

function waitingText(name: string): string {
  return `# Mail for ${name} waits here. To have it read, write an address instead: &you@example.org\n./Maildir/\n`
}

/** `others`: the instruction for mail that is no report. */
export function reportsAliasText({ path }: Pick<Home, 'path'>, others: string): string {
  return `# 'quaver dmarc reports' sums up what comes here; the last line is for what is no report.
|quaver dmarc take --home '${path.replaceAll("'", "'\\''")}'
${others}
`
}
