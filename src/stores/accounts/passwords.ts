/** HOME/auth/passwd (0600): one line `address:hash`, the hash a PHC string. Provisional: `authd` will own a store of its own.
 *  Never:  sees a password; returns a hash. */
import { join } from 'node:path'
import { fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

const passwordsBytesMax: number = 64 * 1024 * 1024

export async function setPassword(files: Files, home: Home, address: string, hash: string): Promise<void> {
  const others = (await readLines(files, home)).filter((line) => !line.startsWith(`${address}:`))
  await replaceFile(files, passwordsPath(home), toBuffer(`${[...others, `${address}:${hash}`].join('\n')}\n`), 0o600)
}

/** Empty if this process may not read the file. */
export async function passwordAddresses(files: Files, home: Home): Promise<ReadonlySet<string>> {
  const lines = await readLines(files, home).catch(() => [])
  return new Set(lines.map((line) => line.slice(0, line.indexOf(':'))))
}

async function readLines(files: Files, home: Home): Promise<string[]> {
  const text = await files.read(passwordsPath(home), passwordsBytesMax)
  return text === undefined
    ? []
    : fromBuffer(text)
        .split('\n')
        .filter((line) => line !== '')
}

function passwordsPath(home: Home): string {
  return join(home.auth, 'passwd')
}
