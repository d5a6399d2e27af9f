/** A home that is being restored: unpacked beside its final place, on the same file system, and moved there when it is
 *  complete. Before that a later run begins again; after that it goes on with the moves.
 *  Knows:  which part goes where, and that `control`, which marks a directory as a home, goes last.
 *  Never:  overwrites; follows a link of the archive's.
 *  Fails:  as Node does; BackupError for content that our backups never have. */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, lchown, lutimes, mkdir, open, rename, rm, rmdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { OwnerIds } from '../../system/as-owner.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'
import { type Home, homeAt } from '../home/layout.ts'
import { type BackupEntry, BackupError } from './archive.ts'

/** Undefined: all files belong to this process's user. */
export type OwnerOfEntry = (entry: BackupEntry) => Promise<OwnerIds | undefined>

const stageName = '.restore'
const stateName = 'moves.json'
const stateBytesMax: number = 64 * 1024
/** Entries that a directory may hold and still count as empty. */
const nothings = new Set([stageName, 'lost+found'])
const apart = ['control', 'users', 'tls'] as const
const syncMillisecondsMax = 600_000

interface Move {
  readonly from: string
  readonly to: string
}

export class StagedHome {
  /** As it lies in the stage. */
  readonly home: Home
  private readonly final: Home
  private readonly configuration: string | undefined
  private readonly links = new Set<string>()

  /** `configuration`: where control/, users/ and tls/ go; undefined: into the home. */
  constructor(final: Home, configuration: string | undefined) {
    this.final = final
    this.configuration = configuration
    const at = homeAt(join(final.path, stageName, 'home'))
    this.home =
      configuration === undefined
        ? at
        : {
            ...at,
            ...Object.fromEntries(apart.map((name) => [name, join(configuration, stageName, name)])),
          }
  }

  /** What is in the way. */
  obstacles(): string[] {
    const places = this.configuration === undefined ? [] : apart.map((name) => join(this.configuration ?? '', name))
    const isInTheWay = (path: string): boolean =>
      existsSync(path) && readdirSync(path).some((name) => !nothings.has(name))
    return [this.final.path, ...places].filter(isInTheWay)
  }

  /** Discards an earlier run that had not begun its moves. */
  async begin(): Promise<void> {
    await this.discard()
    for (const stage of this.stages()) await mkdir(stage, { recursive: true, mode: 0o700 })
    for (const path of [this.final.path, this.configuration ?? this.final.path]) await chmod(path, 0o755)
    await mkdir(this.home.path, { mode: 0o755 })
    for (const name of this.configuration === undefined ? [] : apart)
      await symlink(join(this.configuration ?? '', name), join(this.home.path, name))
  }

  async add(entry: BackupEntry, content: AsyncIterable<Uint8Array>, ownerOf: OwnerOfEntry): Promise<void> {
    const path = this.placeOf(entry.path)
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    const owner = await ownerOf(entry)
    if (entry.kind === 'link') {
      this.links.add(entry.path)
      await symlink(entry.target, path)
      if (owner !== undefined) await lchown(path, owner.uid, owner.gid)
      await lutimes(path, entry.modifiedSeconds, entry.modifiedSeconds)
    } else if (entry.kind === 'directory') {
      await mkdir(path, { mode: 0o700 })
      if (owner !== undefined) await lchown(path, owner.uid, owner.gid)
      await chmod(path, entry.mode)
    } else await this.file(path, entry, content, owner)
  }

  /** Lets the owners of its directories enter them, so that the queue can be opened. */
  async letIn(): Promise<void> {
    for (const stage of this.stages()) await chmod(stage, 0o711)
  }

  /** Syncs and records: from now on the restore is finished even after a crash. `report` is returned by `finish`. */
  async complete(report: string): Promise<void> {
    const staged = readdirSync(this.home.path)
    const first = staged.filter((name) => name !== 'control')
    const moves: Move[] = [
      ...(this.configuration === undefined ? [] : apart).map((name) => ({
        from: this.home[name],
        to: join(this.configuration ?? '', name),
      })),
      ...[...first, 'control'].map((name) => ({ from: join(this.home.path, name), to: join(this.final.path, name) })),
    ].filter(({ from }) => existsSync(dirname(from)))
    await promisify(execFile)('sync', { timeout: syncMillisecondsMax }).catch(() => undefined)
    await replaceFile(realFiles, this.statePath(), Buffer.from(JSON.stringify({ moves, report })), 0o600)
  }

  /** Moves what `complete` noted, as far as it is not moved yet; undefined: nothing was complete. */
  async finish(): Promise<string | undefined> {
    const text = await realFiles.read(this.statePath(), stateBytesMax)
    if (text === undefined) return undefined
    const { moves, report } = JSON.parse(text.toString('utf8')) as { moves: readonly Move[]; report: string }
    for (const { from, to } of moves) {
      if ((await realFiles.facts(dirname(from))) === undefined) continue
      await rename(from, to).catch((error: unknown) => {
        if (errorCode(error) !== 'ENOENT') throw error
      })
    }
    for (const path of new Set(moves.map(({ to }) => dirname(to)))) await realFiles.syncDirectory(path)
    await this.removeStages()
    return report
  }

  /** As if it had never begun. */
  async discard(): Promise<void> {
    await this.removeStages()
    for (const path of [this.final.path, this.configuration])
      if (path !== undefined) await rmdir(path).catch(() => undefined)
  }

  private async file(
    path: string,
    entry: BackupEntry,
    content: AsyncIterable<Uint8Array>,
    owner: OwnerIds | undefined,
  ): Promise<void> {
    const handle = await open(path, 'wx', 0o600)
    try {
      for await (const piece of content) await handle.writeFile(piece)
      if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
      await handle.chmod(entry.mode)
      await handle.utimes(entry.modifiedSeconds, entry.modifiedSeconds)
    } finally {
      await handle.close()
    }
  }

  private placeOf(path: string): string {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1))
      if (this.links.has(path.slice(0, at))) throw new BackupError(`${path} is below a link`)
    const [top = ''] = path.split('/')
    const known = apart.find((name) => name === top)
    return known === undefined ? join(this.home.path, path) : join(dirname(this.home[known]), path)
  }

  private stages(): string[] {
    return [this.final.path, ...(this.configuration === undefined ? [] : [this.configuration])].map((path) =>
      join(path, stageName),
    )
  }

  /** The home's stage, which holds the note of the moves, goes last. */
  private async removeStages(): Promise<void> {
    for (const stage of this.stages().toReversed()) await rm(stage, { recursive: true, force: true })
  }

  private statePath(): string {
    return join(this.final.path, stageName, stateName)
  }
}
