/** HOME/auth/passwd on disk: read and replaced whole, 0600, owned as HOME/auth is: by the role authd's account.
 *  Knows:  that root may change the file, in a directory that an unprivileged account owns: no link is followed and no file of
 *          another owner is read, or its content would end up with that account.
 *  Fails:  throws as Node does, or an Error that names the path and the remedy. */
import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { encodingFault } from '../../protocols/qmail/written-text.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export const credentialsBytesMax: number = 64 * 1024 * 1024

export function credentialsPath(home: Home): string {
  return join(home.auth, 'passwd')
}

/** Changes whenever the file does; empty while there is none. The part before the first colon changes when the file is
 *  replaced: the inode alone does not show it, since a later file may get it again. */
export async function credentialsStamp(home: Home): Promise<string> {
  try {
    const facts = await stat(credentialsPath(home), { bigint: true })
    return `${facts.ino}.${facts.birthtimeNs}:${facts.size}:${facts.mtimeNs}:${facts.ctimeNs}`
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** Empty if there is no file. */
export async function readCredentialsText(home: Home): Promise<ByteString> {
  const path = credentialsPath(home)
  const handle = await openPlain(path)
  if (handle === undefined) return ''
  try {
    const [facts, directory] = await Promise.all([handle.stat(), stat(home.auth)])
    if (!facts.isFile()) throw new Error(`${path} is not a file: move it away`)
    // A link count of 0 means that it was replaced since it was opened: it is whole, and its successor has another stamp.
    if ((facts.uid !== directory.uid && facts.uid !== 0) || facts.nlink > 1)
      throw new Error(`${path} does not belong to the owner of ${home.auth}, or has a second name: move it away`)
    if (facts.size > credentialsBytesMax) throw new Error(`${path}: ${facts.size} bytes, limit ${credentialsBytesMax}`)
    const text = fromBuffer(await handle.readFile())
    const fault = encodingFault(text)
    if (fault !== undefined) throw new Error(`${path} ${fault}`)
    return text
  } finally {
    await handle.close()
  }
}

/** A reader sees the old content or the new, before and after a crash. The caller has locked the directory. */
export async function replaceCredentialsText(home: Home, text: ByteString): Promise<void> {
  const path = credentialsPath(home)
  const { uid, gid } = await stat(home.auth)
  const owner = process.getuid?.() === 0 ? { uid, gid } : undefined
  await replaceFile(realFiles, path, toBuffer(text), 0o600, owner)
}

async function openPlain(path: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: does not wait for a writer if it is a pipe.
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    if (errorCode(error) === 'ELOOP') throw new Error(`${path} is a symbolic link: move it away`, { cause: error })
    throw error
  }
}
