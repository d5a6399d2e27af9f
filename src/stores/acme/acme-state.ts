/** HOME/acme/state.json: what acme must remember over a restart, above all when it may ask its authority again. Readable by
 *  all; `quaver tls status` reads it.
 *  Fails:  reading a damaged file throws, with the path: unknown is not the same as new. Writing throws as Node does. */
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { isHttpsUrl } from '../../protocols/acme/objects.ts'
import { type Files, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'

/** All times in milliseconds since 1970. */
export interface AcmeState {
  /** The URL of our account at the authority of this directory. */
  readonly account?: { readonly directory: string; readonly url: string }
  /** The authority of the last certificate, and when the last ones were issued. */
  readonly issued?: Issued
  readonly renewal?: Renewal
  readonly failure?: Failure
}

export interface Issued {
  readonly directory: string
  readonly timesMs: readonly number[]
  /** The authority's names in CAA records. */
  readonly caaNames: readonly string[]
}

export interface Renewal {
  /** SHA-256 of the certificate that this is about. */
  readonly certificate: string
  readonly atMs: number
  /** When to ask the authority again for its suggested time (RFC 9773); undefined: it suggests none. */
  readonly askAgainMs?: number
  /** URL of the authority's page that explains the time; empty: none. */
  readonly explanation: string
}

/** Attempts that failed, in a row. */
export interface Failure {
  readonly count: number
  /** Of the last one. */
  readonly atMs: number
  /** Of the last failures that an authority may have counted, oldest first. */
  readonly timesMs: readonly number[]
  readonly text: string
  /** No attempt is made before this time. */
  readonly againMs: number
}

const listMax = 100
const stateBytesMax: number = 64 * 1024

export async function readAcmeState(files: Files, home: Home): Promise<AcmeState> {
  const path = statePath(home)
  try {
    const bytes = await files.read(path, stateBytesMax)
    return bytes === undefined ? {} : stateOf(JSON.parse(bytes.toString('utf8')))
  } catch (error) {
    throw new Error(`${path}: ${describeError(error)}: remove it, and what it said is forgotten`, { cause: error })
  }
}

export async function writeAcmeState(files: Files, home: Home, state: AcmeState): Promise<void> {
  await replaceFile(files, statePath(home), Buffer.from(`${JSON.stringify(state)}\n`), 0o644)
}

function statePath(home: Home): string {
  return join(home.acme, 'state.json')
}

function stateOf(value: unknown): AcmeState {
  const fields = fieldsOf(value)
  const parts = {
    account: part(fields, 'account', (of) => ({ directory: url(of, 'directory'), url: url(of, 'url') })),
    issued: part(fields, 'issued', (of) => ({
      directory: url(of, 'directory'),
      timesMs: times(of),
      caaNames: list(of, 'caaNames').map(String),
    })),
    renewal: part(fields, 'renewal', renewalOf),
    failure: part(fields, 'failure', (of) => ({
      count: number(of, 'count'),
      atMs: number(of, 'atMs'),
      timesMs: times(of),
      text: text(of, 'text'),
      againMs: number(of, 'againMs'),
    })),
  }
  return Object.fromEntries(Object.entries(parts).filter(([, one]) => one !== undefined))
}

function renewalOf(of: Fields): Renewal {
  const renewal = {
    certificate: text(of, 'certificate'),
    atMs: number(of, 'atMs'),
    explanation: text(of, 'explanation'),
  }
  return of.has('askAgainMs') ? { ...renewal, askAgainMs: number(of, 'askAgainMs') } : renewal
}

type Fields = ReadonlyMap<string, unknown>

function part<Part>(fields: Fields, name: string, read: (of: Fields) => Part): Part | undefined {
  return fields.has(name) ? read(fieldsOf(fields.get(name))) : undefined
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) throw new Error('no object')
  return new Map(Object.entries(value))
}

function number(of: Fields, name: string): number {
  const value = of.get(name)
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${name} is no number`)
  return value
}

function times(of: Fields): number[] {
  return list(of, 'timesMs').map((one) => (typeof one === 'number' ? one : Number.NaN))
}

function list(of: Fields, name: string): readonly unknown[] {
  const value: unknown = of.get(name)
  if (!Array.isArray(value) || value.length > listMax) throw new Error(`${name} is no list`)
  return value
}

function text(of: Fields, name: string): string {
  const value = of.get(name)
  if (typeof value !== 'string') throw new Error(`${name} is no text`)
  return value
}

function url(of: Fields, name: string): string {
  const value = text(of, name)
  if (!isHttpsUrl(value)) throw new Error(`${name} is no https URL`)
  return value
}
