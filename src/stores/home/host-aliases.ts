/** The addresses that every host has, and which no account of it gets: root (uid 0 receives no mail), postmaster (RFC 5321
 *  §4.5.1, and where double bounces go) and mailer-daemon (the author of bounces). A home has a file in alias/ for each,
 *  and one for dmarc-reports, whose mail a program reads.
 *  Never:  touches a file that is there, or makes one where alias/.qmail-default takes all. */
import { join } from 'node:path'
import { asOwner, type OwnerIds } from '../../system/as-owner.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import { makeMaildir } from '../maildir/make-maildir.ts'
import type { Home } from './layout.ts'

export const hostAddresses: readonly string[] = ['root', 'postmaster', 'mailer-daemon']

/** Where reports about our domains (DMARC) are taken, and bounces of those that we send. */
export const reportsAlias = 'dmarc-reports'

export function hostAliasFile(home: Pick<Home, 'alias'>, name: string): string {
  return join(home.alias, `.qmail-${name}`)
}

/** Those that nothing in alias/ is for. */
export async function missingHostAliases(files: Files, home: Pick<Home, 'alias'>): Promise<string[]> {
  return await missingOf(hostAddresses, files, home)
}

async function missingOf(names: readonly string[], files: Files, home: Pick<Home, 'alias'>): Promise<string[]> {
  const isThere = async (name: string): Promise<boolean> => (await files.facts(hostAliasFile(home, name))) !== undefined
  if (await isThere('default')) return []
  const there = await Promise.all(names.map(isThere))
  return names.filter((_, at) => there[at] !== true)
}

/** Where nobody says who reads it, it waits in alias/Maildir. The answer: which were made. */
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

/** `others`: the instruction for what the program does not take. */
export function reportsAliasText({ path }: Pick<Home, 'path'>, others: string): string {
  return `# 'quaver dmarc reports' sums up what comes here; the last line is for what is no report.
|quaver dmarc take --home '${path.replaceAll("'", "'\\''")}'
${others}
`
}
