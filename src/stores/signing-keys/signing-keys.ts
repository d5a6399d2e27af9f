/** Private keys of DKIM: control/domainkeys/DOMAIN/SELECTOR, a PEM each, for the signer's account alone.
 *  Knows:  place, owner and mode. Never: who may have mail signed.
 *  Fails:  throws with the path and its fault; never shows any of the key. */
import { chmod, chown, mkdir, readdir, rmdir } from 'node:fs/promises'
import { statSync } from 'node:fs'
import type { KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { type ByteString, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { errorCode, type Files, readSmallFile, replaceFile } from '../../system/files.ts'
import { readPrivateKey } from '../../system/signatures.ts'
import type { Home } from '../home/layout.ts'

const keyBytesMax: number = 16 * 1024
/** Keys kept in memory; one more drops the oldest. */
const keptMax = 1000

export interface KeyName {
  readonly domain: ByteString
  readonly selector: ByteString
}

export function keyPath(home: Home, { domain, selector }: KeyName): string {
  return join(keysDirectory(home), toText(domain), toText(selector))
}

export function keysDirectory(home: Home): string {
  return join(home.control, 'domainkeys')
}

/** Undefined if there is no such key. */
export function readKey(home: Home, name: KeyName): KeyObject | undefined {
  const path = keyPath(home, name)
  try {
    const pem = readSmallFile(path, keyBytesMax)
    return pem === undefined ? undefined : readPrivateKey(pem)
  } catch (error) {
    throw new Error(`${path}: ${describeError(error)}`, { cause: error })
  }
}

/** In the order of their names. */
export async function listKeys(home: Home): Promise<KeyName[]> {
  const names: KeyName[] = []
  for (const domain of await namesIn(keysDirectory(home)))
    for (const selector of await namesIn(join(keysDirectory(home), domain))) names.push({ domain, selector })
  return names
}

/** Owner: the account that signs; undefined: the caller. */
export async function writeKey(
  files: Files,
  home: Home,
  name: KeyName,
  pem: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  const path = keyPath(home, name)
  for (const directory of [keysDirectory(home), join(path, '..')]) {
    const isNew = (await mkdir(directory, { recursive: true, mode: 0o700 })) !== undefined
    if (isNew && owner !== undefined) await chown(directory, owner.uid, owner.gid)
    if (isNew) await chmod(directory, 0o700)
  }
  await replaceFile(files, path, Buffer.from(pem), 0o400)
  if (owner !== undefined) await chown(path, owner.uid, owner.gid)
}

/** Removes all keys of a domain; cannot be undone. */
export async function removeKeys(files: Files, home: Home, domain: ByteString): Promise<void> {
  const directory = join(keysDirectory(home), toText(domain))
  for (const selector of await namesIn(directory)) await files.remove(join(directory, toText(selector)))
  for (const path of [directory, keysDirectory(home)]) await rmdir(path).catch(whenNeeded)
}

/** The directory holds other files, or another domain's keys. */
function whenNeeded(error: unknown): void {
  if (!['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].includes(errorCode(error))) throw error
}

/** Keys kept in memory, read again when their files change. */
export class SigningKeys {
  private readonly home: Home
  private readonly kept = new Map<string, { readonly stamp: string; readonly key: KeyObject }>()

  constructor(home: Home) {
    this.home = home
  }

  /** As `readKey`. */
  of(name: KeyName): KeyObject | undefined {
    const path = keyPath(this.home, name)
    const stamp = stampOf(path)
    const known = this.kept.get(path)
    if (known !== undefined && known.stamp === stamp) return known.key
    this.kept.delete(path)
    const key = readKey(this.home, name)
    if (key === undefined) return undefined
    const [oldest] = this.kept.keys()
    if (this.kept.size >= keptMax && oldest !== undefined) this.kept.delete(oldest)
    this.kept.set(path, { stamp, key })
    return key
  }
}

function stampOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path)
    return `${ino} ${mtimeMs} ${size}`
  } catch {
    // Reading the file will report the cause.
    return ''
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory)
    return entries.filter((name) => !name.startsWith('.')).toSorted()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error))) return []
    throw error
  }
}
