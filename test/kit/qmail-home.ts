/** Homes of real qmails, stopped in mid-delivery, and what is known of each message in their queues (shared material). */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedJson, sharedPath } from './shared.ts'

export interface ExpectedRecipient {
  readonly channel: 'local' | 'remote'
  readonly mark: 'T' | 'D'
  readonly address: string
}

interface Delivery {
  readonly channel: 'local' | 'remote'
  readonly sender: string
  readonly recipient: string
}

export interface ExpectedMessage {
  readonly id: number
  readonly state: 'S2' | 'S3' | 'S4' | 'S5'
  readonly size: number
  readonly sha256: string
  readonly sender: string | null
  /** Seconds; null where it is not routed yet. */
  readonly birth: number | null
  readonly recipients: readonly ExpectedRecipient[]
  readonly next_due: Readonly<Partial<Record<'local' | 'remote', number>>>
  readonly bounce?: string
  readonly conclude: { readonly action: string }
  readonly replay?: {
    readonly deliveries?: readonly Delivery[]
    readonly bounce?: {
      readonly sender: string
      readonly recipient: string
      readonly body_after_headers_sha256: string
    }
  }
}

interface Manifest {
  readonly messages: readonly ExpectedMessage[]
}

/** Those that are at hand. */
export const qmailHomes: readonly { readonly archive: string; readonly manifest: string }[] = [
  { archive: 'notqmail-home.tar.gz', manifest: 'manifest.json' },
  { archive: 'notqmail-home-2.tar.gz', manifest: 'manifest-2.json' },
].filter(({ archive }) => sharedPath('fixtures', archive) !== undefined)

export function manifestOf({ manifest }: (typeof qmailHomes)[number]): Manifest {
  const found = sharedJson<Manifest>('fixtures', manifest)
  if (found === undefined) throw new Error(`no ${manifest}`)
  return found
}

/** Its var/qmail, with owners and times, in a directory of its own. */
export function unpack({ archive }: (typeof qmailHomes)[number]): { readonly base: string; readonly path: string } {
  const base = mkdtempSync(join(tmpdir(), 'quaver-qmail-'))
  execFileSync('tar', ['--numeric-owner', '-xpzf', sharedPath('fixtures', archive) ?? '', '-C', base])
  const [name = ''] = readdirSync(base)
  return { base, path: join(base, name, 'var/qmail') }
}

export interface FoundMessage {
  readonly number: string
  readonly content: Buffer
  readonly sender: string
  readonly birth: number
  readonly local: ChannelFile | undefined
  readonly remote: ChannelFile | undefined
  readonly bounce: string | undefined
}

interface ChannelFile {
  readonly due: number
  readonly text: string
}

/** A queue as qmail-send reads it, which is routed throughout: by the names of info. Independent of what Quaver reads. */
export function routedMessages(queue: string): FoundMessage[] {
  return readdirSync(join(queue, 'info')).flatMap((split) =>
    readdirSync(join(queue, 'info', split)).map((number) => {
      const text = (name: string): string | undefined => {
        try {
          return readFileSync(join(queue, name), 'latin1')
        } catch {
          return undefined
        }
      }
      const channel = (name: string): ChannelFile | undefined => {
        const file = join(name, split, number)
        const found = text(file)
        return found === undefined ? undefined : { due: seconds(join(queue, file)), text: found }
      }
      const mess = join(queue, 'mess', split, number)
      if (statSync(mess).ino % 23 !== Number(split) || String(statSync(mess).ino) !== number)
        throw new Error(`${mess} is not under its inode's number`)
      return {
        number,
        content: readFileSync(mess),
        sender: /^F([^\0]*)\0$/.exec(text(join('info', split, number)) ?? '')?.[1] ?? 'no sender',
        birth: seconds(join(queue, 'info', split, number)),
        local: channel('local'),
        remote: channel('remote'),
        bounce: text(join('bounce', number)),
      }
    }),
  )
}

function seconds(path: string): number {
  return Math.floor(statSync(path).mtimeMs / 1000)
}
