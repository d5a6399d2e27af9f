/** Finds the tour's message among the files of a Maildir. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const headBytes = 8192
const folders = ['new', 'cur'] as const

/** `new/…` or `cur/…`; the newest names first. */
export async function findMessage(maildir: string, messageId: string): Promise<string | undefined> {
  for (const folder of folders) {
    for (const name of (await readdir(join(maildir, folder))).sort().reverse())
      if ((await readHead(join(maildir, folder, name))).includes(`<${messageId}>`)) return `${folder}/${name}`
  }
  return undefined
}

export async function messageCount(maildir: string): Promise<number> {
  const names = await Promise.all(folders.map((folder) => readdir(join(maildir, folder))))
  return names.flat().length
}

async function readHead(path: string): Promise<string> {
  const handle = await open(path)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
