/** HOME/acme/issued.pem: a chain that the authority gave and that is not installed yet. Authorities issue the same certificate
 *  only a few times a week, so a chain that a full disk kept from being installed is kept. */
import { join } from 'node:path'
import { chainBytesMax } from '../../contracts/certificates.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export async function keepIssued(files: Files, home: Home, chainPem: string): Promise<void> {
  await replaceFile(files, pathOf(home), Buffer.from(chainPem, 'latin1'), 0o644)
}

export async function readIssued(files: Files, home: Home): Promise<string | undefined> {
  return (await files.read(pathOf(home), chainBytesMax))?.toString('latin1')
}

export async function forgetIssued(files: Files, home: Home): Promise<void> {
  await files.remove(pathOf(home))
}

function pathOf(home: Home): string {
  return join(home.acme, 'issued.pem')
}
