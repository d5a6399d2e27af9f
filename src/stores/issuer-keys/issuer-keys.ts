/** HOME/issuers/keys.json: public keys of OAuth issuers, by issuer. `issuers` writes it, authd reads it: the directory's owner
 *  decides which keys are good, and authd needs no connection to the network.
 *  Fails:  a damaged file gives no keys; writing throws as Node does. */
import { join } from 'node:path'
import { type PublicKey, readKeys } from '../../protocols/oauth/issuers.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

/** By the issuer's URL. */
export type IssuerKeys = ReadonlyMap<string, readonly PublicKey[]>

const keysBytesMax: number = 1024 * 1024

export async function readIssuerKeys(files: Files, home: Home): Promise<IssuerKeys> {
  const bytes = await files.read(keysPath(home), keysBytesMax)
  const keys = new Map<string, readonly PublicKey[]>()
  for (const [issuer, set] of Object.entries(bytes === undefined ? {} : asObject(bytes))) {
    const found = readKeys({ keys: set })
    if (found !== undefined) keys.set(issuer, found)
  }
  return keys
}

export async function writeIssuerKeys(files: Files, home: Home, keys: IssuerKeys): Promise<void> {
  await replaceFile(files, keysPath(home), Buffer.from(`${JSON.stringify(Object.fromEntries(keys))}\n`), 0o644)
}

function keysPath(home: Home): string {
  return join(home.issuers, 'keys.json')
}

function asObject(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as unknown
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
