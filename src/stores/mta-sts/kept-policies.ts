/** HOME/mta-sts/DOMAIN: MTA-STS policies as they were fetched, so that they outlive a restart (RFC 8461 §3.3, §10.2). `remote`
 *  alone writes; they are public, and all may read them.
 *  Knows:  the form of such a file. Never: fetches, or says whether a policy is still good.
 *  Fails:  a damaged file reads as absent; writing throws as Node does. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

export interface KeptPolicy {
  /** The id in the DNS record for which it was fetched. */
  readonly id: string
  /** Milliseconds since 1970, as the two below. */
  readonly fetchedAt: number
  /** When a delivery last used it. */
  readonly usedAt: number
  /** Of the file, bytes as characters. */
  readonly text: string
}

const fileBytesMax: number = 512 * 1024
/** Leaves room for the name of the temporary file within the file system's 255. The policy of a domain with a longer name is
 *  kept in memory only. */
const nameBytesMax = 220

export class KeptPolicies {
  private readonly files: Files
  private readonly directory: string

  constructor(files: Files, home: Home) {
    this.files = files
    this.directory = home.mtaSts
  }

  async read(domain: string): Promise<KeptPolicy | undefined> {
    if (domain.length > nameBytesMax) return undefined
    const bytes = await this.files.read(join(this.directory, domain), fileBytesMax)
    return bytes === undefined ? undefined : parse(bytes)
  }

  async write(domain: string, kept: KeptPolicy): Promise<void> {
    if (domain.length > nameBytesMax) return
    await replaceFile(this.files, join(this.directory, domain), Buffer.from(`${JSON.stringify(kept)}\n`), 0o644)
  }

  async remove(domain: string): Promise<void> {
    await this.files.remove(join(this.directory, domain))
  }

  async domains(): Promise<string[]> {
    return (await readdir(this.directory)).filter((name) => !name.startsWith('.'))
  }
}

function parse(bytes: Buffer): KeptPolicy | undefined {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as unknown
    if (typeof value !== 'object' || value === null) return undefined
    const { id, fetchedAt, usedAt, text } = value as Readonly<Record<string, unknown>>
    if (typeof id !== 'string' || typeof text !== 'string') return undefined
    if (typeof fetchedAt !== 'number' || typeof usedAt !== 'number') return undefined
    return { id, fetchedAt, usedAt, text }
  } catch {
    return undefined
  }
}
