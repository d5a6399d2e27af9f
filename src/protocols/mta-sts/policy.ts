/** MTA-STS (RFC 8461): the record that says that a domain has a policy, the policy, and which exchangers it lets in. */
import type { ByteString } from '../../base/byte-string.ts'

export type StsMode = 'enforce' | 'testing' | 'none'

export interface StsPolicy {
  readonly mode: StsMode
  readonly maxAgeSeconds: number
  /** Patterns in lower case: a host name, or `*.` and a name. Empty only with mode none. */
  readonly mx: readonly string[]
}

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'invalid'; readonly why: string }

/** About a year (§3.2); more is cut. */
export const maxAgeSecondsMax = 31_557_600
const linesMax = 2_000
const host = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const address = /^\d+(?:\.\d+){3}$/

/** The id among the TXT records of `_mta-sts.DOMAIN` (§3.1): of exactly one record that begins as one of ours and is whole. */
export function policyIdAmong(texts: readonly ByteString[]): string | undefined {
  const records = texts.filter((text) => /^v=STSv1[ \t]*;/.test(text))
  const [record] = records
  if (record === undefined || records.length > 1) return undefined
  const fields = record.split(';').map((field) => field.trim())
  if (fields.at(-1) === '') fields.pop()
  if (!fields.every((field) => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]+$/.test(field))) return undefined
  const ids = fields.filter((field) => field.startsWith('id=')).map((field) => field.slice('id='.length))
  const [id] = ids
  return ids.length === 1 && id !== undefined && /^[A-Za-z0-9]{1,32}$/.test(id) ? id : undefined
}

/** The file (§3.2): of a key that may stand once the first counts; unknown keys are passed over. */
export function parsePolicy(text: ByteString): ParsedPolicy {
  const fields = new Map<string, string>()
  const mx: string[] = []
  for (const line of text.split('\n', linesMax)) {
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const key = line.slice(0, colon).trim()
    const value = line.slice(colon + 1).trim()
    if (key === 'mx') mx.push(value.toLowerCase().replace(/\.$/, ''))
    else if (!fields.has(key)) fields.set(key, value)
  }
  if (fields.get('version') !== 'STSv1') return invalid("it does not say 'version: STSv1'")
  const mode = fields.get('mode')
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none')
    return invalid("it has no 'mode' of enforce, testing or none")
  const age = fields.get('max_age') ?? ''
  if (!/^\d{1,10}$/.test(age)) return invalid("it has no 'max_age' in seconds")
  const patterns = mx.filter(isPattern)
  if (mode !== 'none' && patterns.length === 0) return invalid("it has no 'mx' that names an exchanger")
  const maxAgeSeconds = Math.min(Number(age), maxAgeSecondsMax)
  return { kind: 'policy', policy: { mode, maxAgeSeconds, mx: patterns } }
}

/** As a web server gives it. */
export function formatPolicy({ mode, maxAgeSeconds, mx }: StsPolicy): ByteString {
  const lines = ['version: STSv1', `mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), `max_age: ${maxAgeSeconds}`]
  return `${lines.join('\r\n')}\r\n`
}

/** `name`: of an exchanger, in lower case. A wildcard stands for exactly one label (§4.1). */
export function letsIn(policy: StsPolicy, name: string): boolean {
  const behindFirst = name.slice(name.indexOf('.') + 1)
  return policy.mx.some((pattern) =>
    pattern.startsWith('*.') ? name.includes('.') && behindFirst === pattern.slice(2) : pattern === name,
  )
}

function isPattern(pattern: string): boolean {
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern
  return name.length <= 253 && host.test(name) && !address.test(name)
}

function invalid(why: string): ParsedPolicy {
  return { kind: 'invalid', why }
}
