/** HOME/tls: cert.pem (the chain) and key.pem (0600), the default; HOME/tls/NAME/ has another such pair, for the host names in
 *  its certificate.
 *  Knows:  paths, modes, whether the two belong together, for which hosts they are. Never: prints the key. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { type NamedPair, tlsNamesMax } from '../../contracts/supervise.ts'
import { certificate, pem, toBeSigned } from '../../protocols/x509/self-signed.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode, type Files, replaceFile } from '../../system/files.ts'
import { coversHost, hostNamesOf, newSigningKey } from '../../system/keys.ts'
import type { Random } from '../../system/random.ts'
import { pairFault } from '../../system/server-tls.ts'

export const fileBytesMax: number = 64 * 1024
const yearMilliseconds: number = 365.25 * 86_400_000
const selfSignedYears = 10
const serialBytes = 16

export interface TlsPair {
  readonly certificatePem: string
  readonly keyPem: string
}

export type TlsState<Pair = TlsPair> =
  | { readonly kind: 'pair'; readonly pair: Pair }
  | { readonly kind: 'absent' }
  | { readonly kind: 'faulty'; readonly fault: string }

export function tlsPaths(directory: string): { readonly certificate: string; readonly key: string } {
  return { certificate: join(directory, 'cert.pem'), key: join(directory, 'key.pem') }
}

export async function readTls(directory: string): Promise<TlsState> {
  const paths = tlsPaths(directory)
  try {
    const [certificateFacts, keyFacts] = await Promise.all([stat(paths.certificate), stat(paths.key)])
    if (certificateFacts.size > fileBytesMax || keyFacts.size > fileBytesMax)
      return faulty(`a file in ${directory} is longer than ${fileBytesMax} bytes`)
    if ((keyFacts.mode & 0o077) !== 0) return faulty(`${paths.key} may be read by others: chmod 600 ${paths.key}`)
    const certificatePem = await readFile(paths.certificate, 'utf8')
    const keyPem = await readFile(paths.key, 'utf8')
    const fault = pairFault(certificatePem, keyPem)
    return fault === undefined
      ? { kind: 'pair', pair: { certificatePem, keyPem } }
      : faulty(`${directory}/cert.pem and key.pem: ${fault}`)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'absent' }
    return faulty(`${directory}: ${describeError(error)}`)
  }
}

/** The directories of further pairs, sorted. Names that begin with a dot are temporary. */
export async function namedTlsDirectories(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name)
    return names.sort().map((name) => join(directory, name))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** A pair for the exact DNS names in its certificate. A wildcard makes the directory's own name count, if it covers it. */
export async function readNamedTls(directory: string): Promise<TlsState<NamedPair>> {
  const state = await readTls(directory)
  if (state.kind === 'absent') return faulty(`${directory} has not both cert.pem and key.pem`)
  if (state.kind === 'faulty') return state
  const { certificatePem } = state.pair
  const names = hostNamesOf(certificatePem)
  const own = basename(directory).toLowerCase()
  if (!names.includes(own) && coversHost(certificatePem, own)) names.push(own)
  if (names.length === 0)
    return faulty(`${directory}/cert.pem names no host: give the directory the name of one that its wildcard covers`)
  if (names.length > tlsNamesMax) return faulty(`${directory}/cert.pem names more than ${tlsNamesMax} hosts`)
  return { kind: 'pair', pair: { ...state.pair, names } }
}

/** Names the state of both files: a changed stamp means changed files, or another mode. `changedMs` is when the later one changed. */
export async function tlsStamp(directory: string): Promise<{ readonly stamp: string; readonly changedMs: number }> {
  const paths = tlsPaths(directory)
  const facts = await Promise.all([paths.certificate, paths.key].map((path) => stat(path).catch(() => undefined)))
  const stamp = facts
    .map((one) => (one === undefined ? '-' : `${one.ino}:${one.size}:${one.mtimeMs}:${one.ctimeMs}`))
    .join(' ')
  return { stamp, changedMs: Math.max(...facts.map((one) => one?.ctimeMs ?? 0)) }
}

/** Writes a new key and its certificate, replacing what is there. */
export async function writeSelfSigned(
  files: Files,
  directory: string,
  hostName: string,
  clock: Clock,
  random: Random,
): Promise<void> {
  const key = newSigningKey()
  const signed = toBeSigned({
    hostName,
    publicKey: key.publicKey,
    serial: random.bytes(serialBytes),
    // A day back: the clock of a verifier may be slow.
    notBeforeMs: clock.now() - 86_400_000,
    notAfterMs: clock.now() + selfSignedYears * yearMilliseconds,
  })
  const paths = tlsPaths(directory)
  await replaceFile(files, paths.key, Buffer.from(key.privatePem), 0o600)
  const text = pem('CERTIFICATE', certificate(signed, key.sign(signed)))
  await replaceFile(files, paths.certificate, Buffer.from(text), 0o644)
}

function faulty(fault: string): { readonly kind: 'faulty'; readonly fault: string } {
  return { kind: 'faulty', fault }
}
