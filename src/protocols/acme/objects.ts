/** What an ACME server says (RFC 8555 §7.1): its JSON objects, read as far as they are used.
 *  Fails:  an object without what it must have gives undefined: the caller says which answer it was. */

export interface AcmeDirectory {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  /** ARI (RFC 9773); undefined: the authority has none. */
  readonly renewalInfo: string | undefined
  /** Names of the kinds of certificates that it offers; empty: one kind. */
  readonly profiles: readonly string[]
  /** Accounts are for its customers alone (§7.3.4). */
  readonly needsBinding: boolean
  /** The authority's names in CAA records (RFC 8659). */
  readonly caaNames: readonly string[]
}

/** `pending` also where the status is missing or unknown. */
export type Progress = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'

export interface Order {
  readonly status: Progress
  readonly authorizations: readonly string[]
  readonly finalize: string
  readonly certificate: string | undefined
  readonly problem: Problem | undefined
}

export interface Authorization {
  readonly name: string
  readonly status: Progress
  readonly challenges: readonly Challenge[]
}

export interface Challenge {
  readonly type: string
  readonly url: string
  readonly token: string
  readonly problem: Problem | undefined
}

/** RFC 7807, §6.7. */
export interface Problem {
  /** What follows `urn:ietf:params:acme:error:`; the whole type if it does not begin so. */
  readonly type: string
  /** For people, one printable line. */
  readonly text: string
}

export interface RenewalInfo {
  readonly fromMs: number
  readonly toMs: number
  /** A page that says why, where the window is unusual; empty: none. */
  readonly explanation: string
}

const urlLengthMax = 2048
const textLengthMax = 500
const namesMax = 100
const errorPrefix = 'urn:ietf:params:acme:error:'
const progresses: readonly Progress[] = ['pending', 'ready', 'processing', 'valid', 'invalid']

/** A challenge's token, which becomes the name of a file (§8.3). */
export function isToken(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,128}$/.test(text)
}

export function isHttpsUrl(text: string): boolean {
  return text.length <= urlLengthMax && text.startsWith('https://') && URL.canParse(text)
}

/** The key that an authority gave a customer, by which it knows the customer's new account (§7.3.4). */
export interface AccountBinding {
  readonly keyId: string
  readonly key: Uint8Array
}

/** `KEYID KEY`, the key in base64url. */
export function readBinding(line: string): AccountBinding | undefined {
  const found = /^([!-~]{1,200}) +([A-Za-z0-9_-]{16,1000})=*$/.exec(line)
  if (found === null) return undefined
  return { keyId: found[1] ?? '', key: Buffer.from(found[2] ?? '', 'base64url') }
}

export function readDirectory(value: unknown): AcmeDirectory | undefined {
  const fields = fieldsOf(value)
  const meta = fieldsOf(fields.get('meta'))
  const [newNonce, newAccount, newOrder] = ['newNonce', 'newAccount', 'newOrder'].map((name) => url(fields.get(name)))
  if (newNonce === undefined || newAccount === undefined || newOrder === undefined) return undefined
  return {
    newNonce,
    newAccount,
    newOrder,
    renewalInfo: url(fields.get('renewalInfo')),
    profiles: [...fieldsOf(meta.get('profiles')).keys()].map(shown),
    needsBinding: meta.get('externalAccountRequired') === true,
    caaNames: listOf(meta.get('caaIdentities'))
      .slice(0, namesMax)
      .filter((one) => typeof one === 'string' && isCaaName(one))
      .map(String),
  }
}

export function readOrder(value: unknown): Order | undefined {
  const fields = fieldsOf(value)
  const finalize = url(fields.get('finalize'))
  const authorizations = listOf(fields.get('authorizations')).map(url)
  if (finalize === undefined || authorizations.length > namesMax || authorizations.includes(undefined)) return undefined
  return {
    status: progress(fields.get('status')),
    authorizations: authorizations.filter((one) => one !== undefined),
    finalize,
    certificate: url(fields.get('certificate')),
    problem: readProblem(fields.get('error')),
  }
}

export function readAuthorization(value: unknown): Authorization | undefined {
  const fields = fieldsOf(value)
  const name = fieldsOf(fields.get('identifier')).get('value')
  if (typeof name !== 'string') return undefined
  const challenges = listOf(fields.get('challenges')).slice(0, namesMax).flatMap(readChallenge)
  return { name: shown(name), status: progress(fields.get('status')), challenges }
}

/** Kinds that have no token (as some of the DNS) are left out. */
function readChallenge(value: unknown): Challenge[] {
  const fields = fieldsOf(value)
  const [type, token, address] = [fields.get('type'), fields.get('token'), url(fields.get('url'))]
  if (typeof type !== 'string' || typeof token !== 'string' || !isToken(token) || address === undefined) return []
  return [{ type, token, url: address, problem: readProblem(fields.get('error')) }]
}

/** Undefined: it is none. The text tells each problem of an order for several names. */
export function readProblem(value: unknown): Problem | undefined {
  const fields = fieldsOf(value)
  const type = fields.get('type')
  if (typeof type !== 'string') return undefined
  const parts = listOf(fields.get('subproblems')).slice(0, namesMax).map(fieldsOf)
  const texts = parts.map((part) => {
    const name = fieldsOf(part.get('identifier')).get('value')
    return `${typeof name === 'string' ? `${name}: ` : ''}${textOf(part.get('detail'))}`
  })
  const name = type.startsWith(errorPrefix) ? type.slice(errorPrefix.length) : type
  return { type: shown(name), text: shown([textOf(fields.get('detail')), ...texts].filter(Boolean).join('; ')) }
}

/** Undefined where the window ends before it begins, too: the client then goes by the certificate's life (RFC 9773 §4.2). */
export function readRenewalInfo(value: unknown): RenewalInfo | undefined {
  const fields = fieldsOf(value)
  const window = fieldsOf(fields.get('suggestedWindow'))
  const [fromMs, toMs] = [timeOf(window.get('start')), timeOf(window.get('end'))]
  if (!(fromMs < toMs)) return undefined
  const page = textOf(fields.get('explanationURL'))
  return { fromMs, toMs, explanation: isHttpsUrl(page) ? shown(page) : '' }
}

/** The name is written into a zone file. */
function isCaaName(text: string): boolean {
  return /^[A-Za-z0-9.-]{1,253}$/.test(text)
}

function timeOf(value: unknown): number {
  return typeof value === 'string' && value.length < 40 ? Date.parse(value) : Number.NaN
}

function progress(value: unknown): Progress {
  // An authorization that is over in any way is invalid (§7.1.6).
  if (value === 'expired' || value === 'deactivated' || value === 'revoked') return 'invalid'
  return progresses.find((known) => known === value) ?? 'pending'
}

function url(value: unknown): string | undefined {
  return typeof value === 'string' && isHttpsUrl(value) ? value : undefined
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** An authority's text is shown in logs and on terminals. */
function shown(text: string): string {
  return text.slice(0, textLengthMax).replace(/[^ -~]/g, '?')
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
}
