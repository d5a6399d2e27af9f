/** Content too large for a row: one file each in `content/`, named by the message id (states Q2 and Q3 of README.md).
 *  Fails:  throws as the file system does; the caller answers 4xx and removes what was begun. */
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Files, OpenFile } from '../../system/files.ts'

export class ContentFiles {
  private readonly directory: string
  private readonly files: Files

  constructor(directory: string, files: Files) {
    this.directory = directory
    this.files = files
  }

  path(id: number): string {
    return join(this.directory, String(id))
  }

  create(id: number): Promise<OpenFile> {
    return this.files.create(this.path(id), 0o600)
  }

  /** After it returns the content, and its name, survive a power cut. Closes the file. */
  async seal(file: OpenFile): Promise<void> {
    await file.sync()
    await file.close()
    await this.files.syncDirectory(this.directory)
  }

  remove(id: number): Promise<void> {
    return this.files.remove(this.path(id))
  }

  openForReading(id: number): Promise<FileHandle> {
    return open(this.path(id), 'r')
  }

  /** Ids of the files that are here, and names that are not ours. */
  async inventory(): Promise<{ ids: number[]; foreign: string[] }> {
    const ids: number[] = []
    const foreign: string[] = []
    for (const name of await readdir(this.directory)) {
      if (/^[1-9][0-9]{0,18}$/.test(name)) ids.push(Number(name))
      else foreign.push(name)
    }
    return { ids, foreign }
  }
}
