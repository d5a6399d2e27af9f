/** Speaks to an authority by ACME (RFC 8555): each request signed by the account's key, with a nonce of the server's.
 *  Knows:  one question and its answer at a time, and all limits on them. Never: when, in which order, or for which names.
 *  Fails:  rejects with AcmeFailure. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK } from 'jose'
import { describeError } from '../../base/outcome.ts'
import { chainBytesMax } from '../../contracts/certificates.ts'
import {
  type AccountBinding,
  type AcmeDirectory,
  type Authorization,
  isHttpsUrl,
  type Order,
  readAuthorization,
  readDirectory,
  readOrder,
  readProblem,
  readRenewalInfo,
  type RenewalInfo,
} from '../../protocols/acme/objects.ts'
import { type Answer, exchange, type ExchangeRequest } from '../https/exchange.ts'

const limits = { bytesMax: 256 * 1024, millisecondsMax: 30_000 }
/** A nonce may be old by the time it arrives, and some servers refuse good ones to test their clients. */
const noncesMax = 6
const userAgent = 'Quaver'
const retryAfterSecondsMax: number = 7 * 86_400

/** `away`: no answer, or a server's own fault: to be asked again soon. `refused`: it said no. */
export class AcmeFailure extends Error {
  override name = 'AcmeFailure'
  readonly kind: 'away' | 'refused'
  /** Of the problem, if it is one (RFC 8555 §6.7); else empty. */
  readonly type: string
  /** Not to be asked before. */
  readonly retryAfterMs: number | undefined

  constructor(kind: 'away' | 'refused', text: string, type = '', retryAfterMs?: number) {
    super(text)
    this.kind = kind
    this.type = type
    this.retryAfterMs = retryAfterMs
  }
}

/** An answer, and in how many milliseconds the server wants to be asked again. */
export interface Asked<Value> {
  readonly value: Value
  readonly retryAfterMs: number | undefined
}

export interface AcmeSetting {
  /** Its URL is the authority's name for us. */
  readonly directory: string
  /** Of the account: P-256. */
  readonly key: KeyObject
  /** PEM of the authorities of the server's own certificate; undefined: those that the process trusts. */
  readonly roots: string | undefined
}

export interface NewOrder {
  readonly names: readonly string[]
  readonly profile: string | undefined
  /** The renewal id of the certificate that it replaces. */
  readonly replaces: string | undefined
}

export class AcmeClient {
  private readonly setting: AcmeSetting
  private directory: AcmeDirectory | undefined
  private jwk: JWK | undefined
  private nonce: string | undefined
  /** Undefined: requests carry the key itself. */
  accountUrl: string | undefined

  constructor(setting: AcmeSetting, accountUrl: string | undefined) {
    this.setting = setting
    this.accountUrl = accountUrl
  }

  async look(): Promise<AcmeDirectory> {
    const { directory } = this.setting
    const answer = await this.fetch(directory, {})
    return (this.directory ??= readDirectory(jsonOf(answer, directory)) ?? unreadable(directory))
  }

  /** Makes an account for the key, or finds the one that it has. */
  async register(contact: string | undefined, binding: AccountBinding | undefined): Promise<string> {
    const { newAccount } = await this.known()
    const contacts = contact === undefined ? {} : { contact: [`mailto:${contact}`] }
    const bound = binding === undefined ? {} : { externalAccountBinding: await this.bind(newAccount, binding) }
    this.accountUrl = undefined
    const answer = await this.post(newAccount, { termsOfServiceAgreed: true, ...contacts, ...bound })
    return (this.accountUrl = locationOf(answer, newAccount))
  }

  async order({ names, profile, replaces }: NewOrder): Promise<Order & { readonly url: string }> {
    const { newOrder } = await this.known()
    const identifiers = names.map((value) => ({ type: 'dns', value }))
    const answer = await this.post(newOrder, {
      identifiers,
      ...(profile === undefined ? {} : { profile }),
      ...(replaces === undefined ? {} : { replaces }),
    })
    return { ...(readOrder(jsonOf(answer, newOrder)) ?? unreadable(newOrder)), url: locationOf(answer, newOrder) }
  }

  async orderAt(url: string): Promise<Asked<Order>> {
    const answer = await this.post(url, undefined)
    return asked(answer, readOrder(jsonOf(answer, url)) ?? unreadable(url))
  }

  async authorization(url: string): Promise<Asked<Authorization>> {
    const answer = await this.post(url, undefined)
    return asked(answer, readAuthorization(jsonOf(answer, url)) ?? unreadable(url))
  }

  /** The answer to a challenge with this token (§8.1). */
  async keyAuthorization(token: string): Promise<string> {
    return `${token}.${await calculateJwkThumbprint(await this.publicJwk())}`
  }

  /** Tells the authority that it can check the challenge now. */
  async meet(url: string): Promise<void> {
    await this.post(url, {})
  }

  /** @param request PKCS #10 in DER */
  async finalize(url: string, request: Buffer): Promise<void> {
    await this.post(url, { csr: request.toString('base64url') })
  }

  /** The chain in PEM. */
  async certificate(url: string): Promise<string> {
    const answer = await this.post(url, undefined, 'application/pem-certificate-chain')
    if (answer.body.length > chainBytesMax)
      throw new AcmeFailure('refused', `${url}: a chain of ${answer.body.length} bytes, limit ${chainBytesMax}`)
    return answer.body.toString('latin1')
  }

  /** Undefined: the authority suggests nothing. */
  async renewalInfo(id: string): Promise<Asked<RenewalInfo> | undefined> {
    const { renewalInfo } = await this.known()
    if (renewalInfo === undefined) return undefined
    const url = `${renewalInfo.replace(/\/$/, '')}/${id}`
    const answer = await this.fetch(url, {})
    const value = readRenewalInfo(jsonOf(answer, url))
    return value === undefined ? undefined : asked(answer, value)
  }

  private async known(): Promise<AcmeDirectory> {
    return this.directory ?? (await this.look())
  }

  /** Without a payload: POST-as-GET (§6.3). */
  private async post(url: string, payload: object | undefined, accept = 'application/json'): Promise<Answer> {
    const bytes = Buffer.from(payload === undefined ? '' : JSON.stringify(payload))
    for (let left = noncesMax; ; left--) {
      const body = Buffer.from(JSON.stringify(await this.sign(url, bytes)))
      const headers = { 'content-type': 'application/jose+json', accept }
      try {
        return await this.fetch(url, { method: 'POST', headers, body })
      } catch (error) {
        if (!(error instanceof AcmeFailure) || error.type !== 'badNonce' || left <= 1) throw error
      }
    }
  }

  private async sign(url: string, payload: Buffer): Promise<object> {
    const nonce = this.nonce ?? (await this.newNonce())
    // Each is good for one request.
    this.nonce = undefined
    const signer = this.accountUrl === undefined ? { jwk: await this.publicJwk() } : { kid: this.accountUrl }
    return await new FlattenedSign(payload)
      .setProtectedHeader({ alg: 'ES256', nonce, url, ...signer })
      .sign(this.setting.key)
  }

  /** Our key, signed with the key that the authority gave to its customer (§7.3.4). */
  private async bind(url: string, { keyId, key }: AccountBinding): Promise<object> {
    return await new FlattenedSign(Buffer.from(JSON.stringify(await this.publicJwk())))
      .setProtectedHeader({ alg: 'HS256', kid: keyId, url })
      .sign(key)
  }

  private async newNonce(): Promise<string> {
    const { newNonce } = await this.known()
    await this.fetch(newNonce, { method: 'HEAD' })
    return this.nonce ?? unreadable(newNonce)
  }

  private async publicJwk(): Promise<JWK> {
    return (this.jwk ??= await exportJWK(createPublicKey(this.setting.key)))
  }

  private async fetch(url: string, request: ExchangeRequest): Promise<Answer> {
    const headers = { 'user-agent': userAgent, 'accept-language': 'en', ...request.headers }
    let answer: Answer
    try {
      answer = await exchange(url, { ...request, headers, roots: this.setting.roots }, limits)
    } catch (error) {
      throw new AcmeFailure('away', describeError(error))
    }
    const nonce = answer.header('replay-nonce')
    if (nonce !== undefined && /^[A-Za-z0-9_-]{1,512}$/.test(nonce)) this.nonce = nonce
    if (answer.status < 200 || answer.status >= 300) throw failureOf(answer, url)
    return answer
  }
}

function failureOf(answer: Answer, url: string): AcmeFailure {
  const problem = problemOf(answer)
  const text = problem === undefined ? `${url}: status ${answer.status}` : `${problem.text} (${problem.type})`
  const kind = answer.status >= 500 || answer.status === 429 ? 'away' : 'refused'
  return new AcmeFailure(kind, text, problem?.type ?? '', retryAfter(answer))
}

function problemOf(answer: Answer): ReturnType<typeof readProblem> {
  try {
    return readProblem(JSON.parse(answer.body.toString('utf8')))
  } catch {
    return undefined
  }
}

function jsonOf(answer: Answer, url: string): unknown {
  try {
    return JSON.parse(answer.body.toString('utf8')) as unknown
  } catch {
    return unreadable(url)
  }
}

function asked<Value>(answer: Answer, value: Value): Asked<Value> {
  return { value, retryAfterMs: retryAfter(answer) }
}

/** Seconds only: a date would need clocks that agree. */
function retryAfter(answer: Answer): number | undefined {
  const text = answer.header('retry-after') ?? ''
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), retryAfterSecondsMax) * 1000 : undefined
}

function locationOf(answer: Answer, url: string): string {
  const location = answer.header('location') ?? ''
  return isHttpsUrl(location) ? location : unreadable(url)
}

function unreadable(url: string): never {
  throw new AcmeFailure('away', `${url}: the answer is none of ACME`)
}
