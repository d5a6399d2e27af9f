/** Puts the installed tree below an empty staging root, as the layout table says.
 *  Works as an ordinary user: the archive formats write root as the owner themselves. */
import { chmod, copyFile, mkdir, readdir, readFile, symlink, utimes, lutimes, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Content, type Entry, installedEntries } from '../src/stores/installation/layout.ts'
import { manifestOf } from '../src/stores/installation/manifest.ts'
import { bundle } from './bundle.ts'
import { manualPage } from './manual.ts'

export type Architecture = 'x64' | 'arm64'

export interface Staging {
  /** The source tree, after `npm ci`. */
  readonly root: string
  /** An empty directory; the tree goes below `prefix` in it. */
  readonly destination: string
  /** Absolute, as on the machine that will run it. */
  readonly prefix: string
  readonly architecture: Architecture
  /** Seconds since 1970: the time of every file. */
  readonly epoch: number
  readonly onProgress: (text: string) => void
}

export async function stage(staging: Staging): Promise<void> {
  const programs = await programNames(staging.root)
  const entries = installedEntries(programs)
  const base = join(staging.destination, staging.prefix)
  await mkdir(base, { recursive: true })
  const packages = new Set<string>()
  // The list of licences is written when all the bundles are made, that of all files when those are there.
  for (const entry of entries.toSorted((one, other) => turnOf(one) - turnOf(other))) {
    const path = join(base, entry.path)
    if (entry.kind === 'link') await symlink(entry.target, path)
    else if (entry.kind === 'directory') await mkdir(path)
    else if (entry.content.from === 'manifest') await writeFile(path, await manifestOf(base, entries))
    else await writeContent(staging, path, entry.content, packages)
    if (entry.kind !== 'link') await chmod(path, entry.mode)
  }
  // From the inside out: making an entry changes the time of its directory.
  for (const entry of entries.toReversed()) {
    const path = join(base, entry.path)
    await (entry.kind === 'link' ? lutimes : utimes)(path, staging.epoch, staging.epoch)
  }
  for (let path = staging.prefix; path !== '/'; path = join(path, '..'))
    await utimes(join(staging.destination, path), staging.epoch, staging.epoch)
  await utimes(staging.destination, staging.epoch, staging.epoch)
}

function turnOf(entry: Entry): number {
  if (entry.kind !== 'file') return 0
  return entry.content.from === 'manifest' ? 2 : entry.content.from === 'licences' ? 1 : 0
}

async function writeContent(
  { root, architecture, epoch, onProgress }: Staging,
  path: string,
  content: Exclude<Content, { from: 'manifest' }>,
  packages: Set<string>,
): Promise<void> {
  switch (content.from) {
    case 'source':
      return copyFile(join(root, content.path), path)
    case 'manual':
      return writeFile(path, manualPage(content.page, epoch))
    case 'text':
      return writeFile(path, content.text)
    case 'runtime':
      onProgress(`runtime for ${architecture}`)
      return copyFile(join(runtimePackage(root, architecture), 'bin/node'), path)
    case 'module': {
      onProgress(content.path)
      const bundled = await bundle(root, content.path, content.quick)
      for (const name of bundled.packages) packages.add(name)
      return writeFile(path, bundled.code)
    }
    case 'licences':
      return writeFile(path, await licences(root, architecture, [...packages].toSorted()))
  }
}

async function programNames(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, 'src/programs'))
  return names.filter((name) => existsSync(join(root, 'src/programs', name, 'main.ts'))).toSorted()
}

/** npm installs the runtime of its own machine only; another is fetched by name and version (see package.ts). */
export function runtimePackage(root: string, architecture: Architecture): string {
  return join(root, 'node_modules', `node-linux-${architecture}`)
}

async function licences(root: string, architecture: Architecture, packages: readonly string[]): Promise<string> {
  const parts: string[] = []
  for (const name of [...packages, `node-linux-${architecture}`]) {
    const directory = join(root, 'node_modules', name)
    const manifest = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as {
      readonly version?: string
      readonly license?: string
    }
    const files = await readdir(directory)
    const found = files.find((file) => /^licen[cs]e/i.test(file))
    const text =
      found === undefined ? '(the package brings no text of it)\n' : await readFile(join(directory, found), 'utf8')
    parts.push(`${name} ${manifest.version ?? ''}: ${manifest.license ?? 'unknown'}\n\n${text.trimEnd()}\n`)
  }
  return parts.join(`\n${'-'.repeat(78)}\n\n`)
}
