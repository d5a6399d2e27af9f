/** The installed programs themselves, if install.sh installed them; a package manager removes its own.
 *  Never:  removes a file whose content is not the package's. */
import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileDigest, type Installed, readManifest } from '../../../stores/installation/manifest.ts'
import { installedPrefix } from '../machine/rights.ts'
import type { Place } from './kept.ts'

export type ProgramTree =
  | {
      readonly kind: 'own'
      readonly prefix: string
      readonly manifest: readonly Installed[]
      /** Directories that install.sh made. */
      readonly madeDirectories: readonly string[]
    }
  | { readonly kind: 'others'; readonly text: string }

/** install.sh writes it: the directories that were not there before, a line each. */
export const madeByInstall = 'lib/quaver/made-directories'

export async function programTree(): Promise<ProgramTree> {
  const prefix = installedPrefix()
  if (prefix === undefined) return { kind: 'others', text: 'this is a clone: remove its directory' }
  const manifest = await readManifest(prefix)
  const record = join(prefix, madeByInstall)
  if (manifest === undefined || !existsSync(record))
    return {
      kind: 'others',
      text: `what is in ${prefix} was installed by a package manager, which removes it: apt-get remove quaver`,
    }
  const madeDirectories = readFileSync(record, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('/'))
  return { kind: 'own', prefix, manifest, madeDirectories }
}

export async function removeTree({
  prefix,
  manifest,
  madeDirectories,
}: Extract<ProgramTree, { kind: 'own' }>): Promise<{ readonly gone: string[]; readonly stays: Place[] }> {
  const gone: string[] = []
  const stays: Place[] = []
  for (const one of manifest.toReversed()) {
    const path = join(prefix, one.path)
    const facts = lstatSync(path, { throwIfNoEntry: false })
    if (facts === undefined || one.kind === 'directory') continue
    const isOurs =
      one.kind === 'link' || one.sha256 === '' ? !facts.isDirectory() : (await fileDigest(path)) === one.sha256
    if (!isOurs) stays.push({ path, why: 'was edited' })
    else {
      await unlink(path)
      gone.push(path)
    }
  }
  await unlink(join(prefix, madeByInstall))
  const directories = [
    ...manifest.filter((one) => one.kind === 'directory' && one.shared !== true).map(({ path }) => join(prefix, path)),
    ...madeDirectories,
  ]
  for (const path of [...new Set(directories)].toSorted().toReversed()) await rmdir(path).catch(() => undefined)
  return { gone, stays }
}
