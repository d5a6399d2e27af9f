/** lib/quaver/manifest.json: what a package has put on this machine, for checks and for uninstalling.
 *  Fails:  ManifestError if it cannot be understood; undefined if there is none, as in a clone. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { realFiles } from '../../system/files.ts'
import { type Entry, manifestPath } from './layout.ts'

export class ManifestError extends Error {
  override name = 'ManifestError'
}

/** `path` is below the prefix. */
export type Installed =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly shared?: true }
  /** `sha256`: empty for the manifest itself. */
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly sha256: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

const bytesMax: number = 4 * 1024 * 1024

/** `base`: where the entries are staged. */
export async function manifestOf(base: string, entries: readonly Entry[]): Promise<string> {
  const list: Installed[] = []
  for (const entry of entries) {
    if (entry.kind !== 'file') list.push(entry)
    else {
      const sha256 = entry.content.from === 'manifest' ? '' : await fileDigest(join(base, entry.path))
      list.push({ kind: 'file', path: entry.path, mode: entry.mode, sha256 })
    }
  }
  return `[\n${list.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`
}

export async function readManifest(prefix: string): Promise<readonly Installed[] | undefined> {
  const path = join(prefix, manifestPath)
  const bytes = await realFiles.read(path, bytesMax)
  if (bytes === undefined) return undefined
  try {
    const list: unknown = JSON.parse(bytes.toString('utf8'))
    if (Array.isArray(list) && list.every(isInstalled)) return list
  } catch {
    // Reported below.
  }
  throw new ManifestError(`${path} cannot be understood: install the package again`)
}

export async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

function isInstalled(value: unknown): value is Installed {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('path' in value)) return false
  if (typeof value.path !== 'string' || value.path.split('/').includes('..')) return false
  if (value.kind === 'link') return 'target' in value && typeof value.target === 'string'
  if (!('mode' in value) || typeof value.mode !== 'number') return false
  return value.kind === 'directory' || (value.kind === 'file' && 'sha256' in value && typeof value.sha256 === 'string')
}
