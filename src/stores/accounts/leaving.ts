/** What becomes of aliases, and of the addresses that each domain should have, when accounts leave.
 *  Fails:  as Node does. */
import { type ByteString, lowerAscii } from '../../base/byte-string.ts'
import type { Files } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { type AccountAddress, textOf } from './address.ts'
import { type Alias, type PlacedAlias, placeAlias, targetsOf } from './aliases.ts'
import { aliasLine, directoryIn, type FoundAccount, keyIn, keyOf, readAccountLine } from './assign-lines.ts'
import type { Site } from './site-files.ts'

/** Addresses that each domain should have (RFC 5321 §4.5.1, RFC 2142). */
export const roleNames: readonly string[] = ['postmaster', 'abuse', 'hostmaster']

export interface Leaving extends PlacedAlias {
  /** The aliases that led to them, and the role addresses that they had, as they are now. */
  readonly changed: readonly Alias[]
}

/** The lines without these accounts, which also leave every alias. A role address that would lead nowhere passes to the next
 *  account of its domain. */
export async function leaveSite(files: Files, home: Home, site: Site, gone: readonly FoundAccount[]): Promise<Leaving> {
  const addresses = new Set(gone.map(textOf))
  const rest = { ...site, accounts: site.accounts.filter((one) => !addresses.has(textOf(one))) }
  const heirOf = ({ local, domain }: AccountAddress): FoundAccount | undefined =>
    roleNames.includes(local) ? rest.accounts.find((one) => one.domain === domain) : undefined
  let lines: readonly string[] = withoutAccounts(site.lines, gone, home.mail)
  const changed: Alias[] = []
  const placed: PlacedAlias[] = []
  for (const alias of site.aliases) {
    const { address, owner } = alias
    const before = await targetsOf(files, home, alias)
    const targets = withoutTargets(before, addresses, heirOf(address))
    if (targets.length === before.length && targets.every((target, at) => target === before[at])) continue
    const one = await placeAlias(files, home, rest, lines, address, targets, owner)
    lines = one.lines
    placed.push(one)
    changed.push({ address: textOf(address), targets })
  }
  for (const account of gone) {
    const heir = heirOf(account)
    if (heir === undefined || lines.some((line) => line.startsWith('=') && keyIn(line) === keyOf(account))) continue
    lines = [...lines, aliasLine(account, heir, heir.directory)]
    changed.push({ address: textOf(account), targets: [textOf(heir)] })
  }
  const afterwards = async (): Promise<void> => {
    for (const one of placed) await one.afterwards()
  }
  return { lines, changed, afterwards }
}

/** `heir` takes the last one's place. */
function withoutTargets(
  targets: readonly ByteString[],
  gone: ReadonlySet<string>,
  heir: AccountAddress | undefined,
): readonly ByteString[] {
  const others = targets.filter((target) => !gone.has(lowerAscii(target)))
  return others.length === 0 && targets.length > 0 && heir !== undefined ? [textOf(heir)] : others
}

function withoutAccounts(lines: readonly string[], gone: readonly FoundAccount[], mail: string): string[] {
  const directories = new Map(gone.flatMap((one) => ['-', '+'].map((end) => [`${keyOf(one)}${end}`, one.directory])))
  const addresses = new Set(gone.map(textOf))
  return lines.filter((line) => {
    const found = readAccountLine(line, mail)
    if (found !== undefined) return !addresses.has(textOf(found))
    // The extensions of these accounts go too, unless an administrator sent them elsewhere.
    const directory = line.startsWith('+') ? directories.get(keyIn(line)) : undefined
    return directory === undefined || directoryIn(line) !== directory
  })
}
