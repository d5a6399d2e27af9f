/** HOME/acme/challenge: what an authority looks for at http://NAME/.well-known/acme-challenge/TOKEN. acme writes it; httpd, or
 *  another web server on port 80, serves it. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../../base/assert.ts'
import { isToken } from '../../protocols/acme/objects.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

/** A token and a thumbprint are shorter. */
const challengeBytesMax = 1024
/** Always present, so that a request shows whether port 80 of a name leads to this directory. */
export const probe = { token: 'quaver', text: 'quaver\n' } as const

/** Makes the directory and leaves only the probe in it: other files are of interrupted orders. Throws as Node does. */
export async function beginChallenges(files: Files, home: Home): Promise<void> {
  const directory = join(home.acme, 'challenge')
  await files.makeDirectory(directory, 0o755)
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true })
  await writeChallenge(files, home, probe.token, probe.text)
}

export async function writeChallenge(files: Files, home: Home, token: string, text: string): Promise<void> {
  await replaceFile(files, pathOf(home, token), Buffer.from(text), 0o644)
}

export async function removeChallenge(files: Files, home: Home, token: string): Promise<void> {
  await files.remove(pathOf(home, token))
}

/** Undefined if there is no such challenge. */
export async function readChallenge(files: Files, home: Home, token: string): Promise<Buffer | undefined> {
  return await files.read(pathOf(home, token), challengeBytesMax)
}

function pathOf(home: Home, token: string): string {
  assert(isToken(token), 'a token becomes the name of a file')
  return join(home.acme, 'challenge', token)
}
