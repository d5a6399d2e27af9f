/** Owners of restored files and mail: the names in the backup, with this machine's numbers. If the restoring user is not root,
 *  that user owns everything. */
import { join, relative } from 'node:path'
import { fromBuffer, fromText, toBuffer, toText } from '../../../base/byte-string.ts'
import { type BackupEntry, BackupError } from '../../../stores/backup/archive.ts'
import type { OwnerOfEntry } from '../../../stores/backup/staged-home.ts'
import { assignBody, directoryIn } from '../../../stores/accounts/assign-lines.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { assignBytesMax, compileAssign } from '../../../stores/users/assign.ts'
import { type Account, findAccount } from '../../../system/accounts.ts'
import { realFiles, replaceFile } from '../../../system/files.ts'
import { groupId } from '../../../system/groups.ts'

/** Accounts that are not there. */
export interface Needed {
  /** Made by that home's set-up, so they can be made again. */
  readonly ours: readonly string[]
  readonly others: readonly string[]
  /** The part of the home that is such an account's home directory. */
  readonly homeOf: (name: string) => 'alias' | 'mail' | 'path'
}

const recordBytesMax: number = 1024 * 1024

const isRoot = (): boolean => process.getuid?.() === 0

/** Has to see all entries first. */
export function neededBy(): {
  readonly see: (entry: BackupEntry, content: AsyncIterable<Uint8Array>) => Promise<void>
  readonly missing: () => Promise<Needed>
} {
  const names = new Set<string>()
  const homes = new Map<string, 'alias' | 'mail'>()
  const homeOf: Needed['homeOf'] = (name) => homes.get(name) ?? 'path'
  let made = ''
  return {
    async see(entry, content) {
      names.add(entry.owner)
      if (entry.path === 'alias') homes.set(entry.owner, 'alias')
      if (entry.path.startsWith('mail/')) homes.set(entry.owner, 'mail')
      if (entry.path === 'made.json') made = await textOf(content, recordBytesMax)
      if (entry.path === 'users/assign')
        for (const line of assignBody(await textOf(content, assignBytesMax))) names.add(userIn(line))
    },
    async missing() {
      if (!isRoot()) return { ours: [], others: [], homeOf }
      const makeable = accountsIn(made)
      const missing: string[] = []
      for (const name of names) if (name !== '' && (await findAccount(name)) === undefined) missing.push(name)
      // A number belongs to an account that the backed-up machine did not know either.
      const named = missing.filter((name) => !/^\d+$/.test(name))
      return {
        ours: named.filter((name) => makeable.has(name)),
        others: named.filter((name) => !makeable.has(name)),
        homeOf,
      }
    },
  }
}

export function ownerFinder(): OwnerOfEntry {
  if (!isRoot()) return () => Promise.resolve(undefined)
  const accounts = new Map<string, Account | undefined>()
  return async (entry) => {
    const { owner, group } = entry
    if (!accounts.has(owner)) accounts.set(owner, await findAccount(owner))
    const account = accounts.get(owner)
    const uid = account?.uid ?? numberOf(owner)
    return { uid, gid: groupId(group) ?? account?.gid ?? uid }
  }
}

function numberOf(owner: string): number {
  if (/^\d{1,10}$/.test(owner)) return Number(owner)
  throw new BackupError(`there is no account '${owner}'`)
}

/** Lines of accounts that have other numbers here, or whose mail was below the home that was elsewhere. Returns how many. */
export async function renumberAssign(home: Home, before: string, now: string): Promise<number> {
  const path = join(home.users, 'assign')
  const facts = await realFiles.facts(path)
  const bytes = facts && (await realFiles.read(path, assignBytesMax))
  if (facts === undefined || bytes === undefined) return 0
  const text = fromBuffer(bytes)
  const body = new Set(assignBody(text))
  let changed = 0
  const lines: string[] = []
  for (const line of text.split('\n')) {
    const next = body.has(line) ? await lineHere(line, before, now) : line
    if (next !== line) changed++
    lines.push(next)
  }
  if (changed === 0) return 0
  await replaceFile(realFiles, path, toBuffer(lines.join('\n')), facts.mode)
  const compiled = await compileAssign(home)
  if (!compiled.done) throw new BackupError(compiled.failure.logText)
  return changed
}

async function lineHere(line: string, before: string, now: string): Promise<string> {
  const fields = line.split(':')
  const account = isRoot() ? await findAccount(userIn(line)) : undefined
  if (account !== undefined && Number(fields[2]) !== account.uid) {
    fields[2] = String(account.uid)
    fields[3] = String(account.gid)
  }
  const directory = directoryIn(line)
  if (directory !== undefined && before !== now) {
    const below = relative(before, directory)
    if (!below.startsWith('..')) fields[4] = fromText(join(now, below))
  }
  return fields.join(':')
}

function userIn(line: string): string {
  return line.split(':')[1] ?? ''
}

function accountsIn(made: string): Set<string> {
  try {
    const list: unknown = JSON.parse(toText(made) || '[]')
    const things: unknown[] = Array.isArray(list) ? list : []
    return new Set(
      things.flatMap((thing) =>
        typeof thing === 'object' && thing !== null && 'kind' in thing && thing.kind === 'account' && 'path' in thing
          ? [String(thing.path)]
          : [],
      ),
    )
  } catch {
    return new Set()
  }
}

async function textOf(content: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of content) {
    bytes += piece.length
    if (bytes > bytesMax) throw new BackupError(`a file of ${bytes} bytes and more where ${bytesMax} are the most`)
    pieces.push(piece)
  }
  return fromBuffer(Buffer.concat(pieces))
}
