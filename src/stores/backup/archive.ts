/** The form of a backup: one tar archive (POSIX pax, as every tar reads it), compressed by gzip where its name ends in `gz`.
 *  Its first entry names what was backed up; its last holds the number of entries and the SHA-256 of all of them, so that a
 *  truncated or changed archive is noticed before anything is restored. Owners are names: numbers differ between machines.
 *  Never:  knows what a home is; looks at the machine's accounts.
 *  Fails:  throws BackupError for an archive that cannot be understood, else as Node does. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { Header, Pax } from 'tar'
import { describeError } from '../../base/outcome.ts'
import { errorCode, realFiles } from '../../system/files.ts'

export class BackupError extends Error {
  override name = 'BackupError'
}

/** What the first entry says. */
export interface BackupHead {
  readonly format: 1
  readonly version: string
  readonly madeMs: number
  /** Path of the home. */
  readonly home: string
  /** Whether messages in mailboxes are in it. */
  readonly mail: boolean
}

interface EntryFacts {
  /** Below the home, without a slash before it. */
  readonly path: string
  /** Permission bits, set-id and sticky bits. */
  readonly mode: number
  readonly owner: string
  /** Empty: the main group of the owner. */
  readonly group: string
  /** Whole seconds. */
  readonly modifiedSeconds: number
}

export type BackupEntry = EntryFacts &
  (
    | { readonly kind: 'directory' }
    | { readonly kind: 'link'; readonly target: string }
    | { readonly kind: 'file'; readonly bytes: number }
  )

/** `content`: of a file, exactly its `bytes`. */
export interface EntryToWrite {
  readonly entry: BackupEntry
  readonly content?: AsyncIterable<Uint8Array>
}

export interface BackupFacts {
  readonly entries: number
  /** Of the archive file. */
  readonly bytes: number
}

const headName = 'quaver-backup.json'
const endName = 'quaver-backup.end'
const textBytesMax: number = 64 * 1024
const blockBytes = 512
const fileMode = 0o600

/** The archive is there whole, or not at all; it holds secrets, and is its maker's alone. */
export async function writeBackup(
  path: string,
  head: BackupHead,
  entries: AsyncIterable<EntryToWrite>,
  signal?: AbortSignal,
): Promise<BackupFacts> {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.new`)
  const handle = await open(temporary, 'wx', fileMode)
  let count = 0
  async function* counted(): AsyncGenerator<EntryToWrite> {
    for await (const one of entries) {
      count++
      yield one
    }
  }
  const source = archive(head, counted())
  try {
    const out = createWriteStream(temporary, { fd: handle.fd, autoClose: false })
    const bytes = Readable.from(source, { objectMode: false })
    const options = signal === undefined ? {} : { signal }
    await (isCompressed(path) ? pipeline(bytes, createGzip(), out, options) : pipeline(bytes, out, options))
    await handle.sync()
    const { size } = await handle.stat()
    await handle.close()
    await rename(temporary, path)
    await realFiles.syncDirectory(dirname(path))
    return { entries: count, bytes: size }
  } catch (error) {
    // Whatever it was doing, with whosever rights, is over then.
    await source.return(undefined).catch(() => undefined)
    await handle.close().catch(() => undefined)
    await rm(temporary, { force: true })
    throw error
  }
}

function isCompressed(path: string): boolean {
  return /gz$/i.test(path)
}

async function* archive(head: BackupHead, entries: AsyncIterable<EntryToWrite>): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let count = 0
  const about = JSON.stringify(head)
  hash.update(`${about}\n`)
  yield* textEntry(headName, about, head.madeMs)
  for await (const { entry, content } of entries) {
    count++
    note(hash, entry)
    yield* headerOf(entry)
    if (entry.kind !== 'file') continue
    let bytes = 0
    for await (const piece of content ?? []) {
      bytes += piece.length
      hash.update(piece)
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.length)
    }
    if (bytes !== entry.bytes)
      throw new Error(`${entry.path} has ${bytes} bytes, and had ${entry.bytes} a moment before`)
    yield padding(bytes)
  }
  yield* textEntry(endName, JSON.stringify({ entries: count, sha256: hash.digest('hex') }), head.madeMs)
  yield Buffer.alloc(2 * blockBytes)
}

function* textEntry(path: string, text: string, ms: number): Generator<Buffer> {
  const content = Buffer.from(`${text}\n`)
  const facts = { path, mode: fileMode, owner: 'root', group: 'root', modifiedSeconds: Math.floor(ms / 1000) }
  yield* headerOf({ ...facts, kind: 'file', bytes: content.length })
  yield content
  yield padding(content.length)
}

const tarTypes = { file: 'File', directory: 'Directory', link: 'SymbolicLink' } as const

function* headerOf(entry: BackupEntry): Generator<Buffer> {
  const header = new Header({
    path: entry.kind === 'directory' ? `${entry.path}/` : entry.path,
    type: tarTypes[entry.kind],
    mode: entry.mode,
    size: entry.kind === 'file' ? entry.bytes : 0,
    mtime: new Date(entry.modifiedSeconds * 1000),
    uname: entry.owner,
    gname: entry.group,
    ...(entry.kind === 'link' ? { linkpath: entry.target } : {}),
    // Where a tar knows no such name, it belongs to whoever unpacks it.
    uid: 0,
    gid: 0,
  })
  const block = Buffer.alloc(blockBytes)
  if (header.encode(block)) yield new Pax(header).encode()
  yield block
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes)
}

/** What the sum is of, beside the contents. */
function note(hash: Hash, entry: BackupEntry): void {
  const { path, kind, mode, owner, group, modifiedSeconds } = entry
  const what = entry.kind === 'file' ? entry.bytes : entry.kind === 'link' ? entry.target : ''
  hash.update(`${JSON.stringify([path, kind, mode, owner, group, modifiedSeconds, what])}\n`)
}

/** Reads all of it, and tells of each entry in its order; what of a content is not read is passed over. Only when this resolves
 *  it is certain that the archive is whole. */
export async function readBackup(
  path: string,
  onHead: (head: BackupHead) => void,
  onEntry: (entry: BackupEntry, content: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const source = createReadStream(path)
  const plain = isCompressed(path) ? source.pipe(createGunzip()) : source
  // A file that cannot be read ends the decompression, too.
  source.on('error', (error) => plain.destroy(error))
  const blocks = new Blocks(plain)
  const hash = createHash('sha256')
  try {
    const about = await textOf(blocks, headName)
    hash.update(about)
    onHead(readHead(about))
    for (let count = 0; ; count++) {
      const header = await nextHeader(blocks)
      if (header.path === endName) {
        checkEnd(path, await blocks.take(header.size ?? 0, textBytesMax), count, hash.digest('hex'))
        return
      }
      const entry = entryOf(header)
      note(hash, entry)
      const bytes = entry.kind === 'file' ? entry.bytes : 0
      const content = blocks.pieces(bytes, (piece) => hash.update(piece))
      await onEntry(entry, content)
      for await (const _ of content);
    }
  } catch (error) {
    const isOfArchive = error instanceof BackupError || errorCode(error).startsWith('Z_')
    throw isOfArchive ? new BackupError(`${path} is damaged, or no backup: ${describeError(error)}`) : error
  } finally {
    plain.destroy()
    source.destroy()
  }
}

/** A stream of bytes, taken in pieces of a wanted length; each piece of the archive ends where a block does. */
class Blocks {
  private readonly source: AsyncIterator<Buffer>
  private rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.source = source[Symbol.asyncIterator]()
  }

  /** Also consumes the padding of the last block. */
  async take(bytes: number, bytesMax: number): Promise<Buffer> {
    if (bytes > bytesMax) throw new BackupError(`an entry has ${bytes} bytes, and may have ${bytesMax}`)
    const found: Buffer[] = []
    for await (const piece of this.pieces(bytes, () => undefined)) found.push(piece)
    return Buffer.concat(found)
  }

  /** A later call goes on where the last one stopped. */
  async *pieces(bytes: number, onPiece: (piece: Buffer) => void): AsyncGenerator<Buffer> {
    let left = bytes
    const read = async (most: number): Promise<Buffer> => {
      while (this.rest.length === 0) {
        const next = await this.source.next()
        if (next.done === true) throw new BackupError('it ends before its end')
        this.rest = next.value
      }
      const piece = this.rest.subarray(0, most)
      this.rest = this.rest.subarray(piece.length)
      return piece
    }
    while (left > 0) {
      const piece = await read(left)
      left -= piece.length
      onPiece(piece)
      yield piece
    }
    for (let fill = padding(bytes).length; fill > 0; ) fill -= (await read(fill)).length
  }
}

/** Applies an extended header that stands before it. */
async function nextHeader(blocks: Blocks): Promise<Header> {
  const block = await blocks.take(blockBytes, blockBytes)
  const header = new Header(block)
  if (header.nullBlock) throw new BackupError('it ends before its end')
  if (!header.cksumValid) throw new BackupError('a header has another sum than it says')
  if (header.type !== 'ExtendedHeader') return header
  const extended = Pax.parse((await blocks.take(header.size ?? 0, textBytesMax)).toString('utf8'))
  return new Header(await blocks.take(blockBytes, blockBytes), 0, extended)
}

function entryOf(header: Header): BackupEntry {
  const { path = '', mode = 0, uname = '', gname = '', size = 0, mtime, linkpath = '' } = header
  const parts = path.replace(/\/$/, '').split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..') || path.includes('\0'))
    throw new BackupError(`an entry is named ${JSON.stringify(path)}`)
  const modifiedSeconds = Math.floor((mtime?.getTime() ?? 0) / 1000)
  const facts = { path: parts.join('/'), mode: mode & 0o7777, owner: uname, group: gname, modifiedSeconds }
  if (header.type === 'File') return { ...facts, kind: 'file', bytes: size }
  if (header.type === 'Directory') return { ...facts, kind: 'directory' }
  if (header.type === 'SymbolicLink') return { ...facts, kind: 'link', target: linkpath }
  throw new BackupError(`${path} is a ${header.type}, which no backup has`)
}

async function textOf(blocks: Blocks, name: string): Promise<Buffer> {
  const header = await nextHeader(blocks)
  if (header.path !== name) throw new BackupError(`it does not begin with ${name}`)
  return await blocks.take(header.size ?? 0, textBytesMax)
}

function readHead(bytes: Buffer): BackupHead {
  const fields = parsed(bytes)
  const [format, home, version, madeMs] = ['format', 'home', 'version', 'madeMs'].map((name) => fields.get(name))
  if (format !== 1) throw new BackupError(`its form is ${String(format)}, and this program knows 1: upgrade it`)
  if (typeof home !== 'string' || typeof version !== 'string' || typeof madeMs !== 'number')
    throw new BackupError(`${headName} cannot be understood`)
  return { format, home, version, madeMs, mail: fields.get('mail') === true }
}

function checkEnd(path: string, bytes: Buffer, entries: number, sha256: string): void {
  const fields = parsed(bytes)
  if (fields.get('entries') !== entries) throw new BackupError(`entries are missing in ${path}`)
  if (fields.get('sha256') !== sha256) throw new BackupError('it has changed since it was made')
}

function parsed(bytes: Buffer): ReadonlyMap<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
  } catch {
    return new Map()
  }
}
