/** Password hashes as PHC strings, by argon2id (RFC 9106) as node:crypto gives it: on the thread pool, never on the loop.
 *  Knows:  our cost, and what a hash made elsewhere may cost at most.
 *  Never:  compares in a time that depends on the bytes.
 *  Fails:  a string that is no such hash, or a dearer one, is undefined; `verifyPassword` rejects only when argon2 cannot run. */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const argon2Async = promisify(argon2)

interface Cost {
  /** KiB. */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const cost: Cost = { memory: 19_456, passes: 2, parallelism: 1 }
const hashBytes = 32
const saltBytes = 16

/** The most that a hash made elsewhere may cost: 64 MiB, ten passes, four lanes, and 256 MiB gone over in all. */
const costMax: Cost = { memory: 65_536, passes: 10, parallelism: 4 }
const workMax = 4 * costMax.memory
const phcBytesMax = 256

export interface PasswordHash extends Cost {
  readonly salt: Buffer
  readonly hash: Buffer
}

const phcPattern =
  /^\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** Undefined for what is not argon2id version 19, or dearer than `costMax`. */
export function parsePasswordHash(phc: string): PasswordHash | undefined {
  const found = phc.length <= phcBytesMax ? phcPattern.exec(phc) : null
  if (found === null) return undefined
  const [, memoryText, passesText, lanesText, salt = '', hash = ''] = found
  const [memory, passes, parallelism] = [Number(memoryText), Number(passesText), Number(lanesText)]
  if (passes < 1 || passes > costMax.passes || parallelism < 1 || parallelism > costMax.parallelism) return undefined
  // RFC 9106 3.1: eight KiB a lane at least.
  if (memory < 8 * parallelism || memory > costMax.memory || memory * passes > workMax) return undefined
  return { memory, passes, parallelism, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
}

/** A PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes)
  const hash = await compute(password, { ...cost, salt, hash: Buffer.alloc(hashBytes) })
  return formatPasswordHash({ ...cost, salt, hash })
}

/** What `parsePasswordHash` reads. */
export function formatPasswordHash({ memory, passes, parallelism, salt, hash }: PasswordHash): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(hash)}`
}

export async function verifyPassword(password: string, known: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await compute(password, known), known.hash)
}

/** A hash of no password, at our own cost: to spend the same time on a name that has none. */
export function dummyPasswordHash(): PasswordHash {
  return { ...cost, salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) }
}

function compute(password: string, { salt, hash, ...own }: PasswordHash): Promise<Buffer> {
  const message = Buffer.from(password, 'utf8')
  return argon2Async('argon2id', { ...own, message, nonce: salt, tagLength: hash.length })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
