/** An ACME authority on loopback (RFC 8555, ARI of RFC 9773): it verifies every signature, takes a nonce once, fetches the challenge
 *  over HTTP, and certifies the request as openssl finds it. What it is to do wrong is set by the test. */
import { X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { calculateJwkThumbprint, EmbeddedJWK, flattenedVerify, importJWK, type JWK } from 'jose'
import type { AccountBinding } from '../../src/protocols/acme/objects.ts'
import { Authority } from './certificates.ts'

interface PlacedOrder {
  readonly names: readonly string[]
  readonly replaces: string | undefined
  status: 'pending' | 'ready' | 'valid' | 'invalid'
  chain: string
}

class Refusal extends Error {
  readonly status: number
  readonly type: string

  constructor(status: number, type: string, detail: string) {
    super(detail)
    this.status = status
    this.type = type
  }
}

export class AcmeAuthority {
  directory = ''
  /** Where challenges are fetched, whatever the name. */
  httpPort = 0
  /** Every so many nonces is refused though it is good. */
  badNonceEvery = Number.POSITIVE_INFINITY
  /** Every POST, as of a broken server. */
  refuseWith: { readonly status: number; readonly type: string; readonly retryAfter?: string } | undefined
  /** Undefined: it has no ARI. */
  window: { readonly start: string; readonly end: string; readonly explanationURL?: string } | undefined
  days = 45
  /** Accounts are made for this customer alone. */
  customer: AccountBinding | undefined
  /** Certifies these instead of what was asked. */
  chainInstead: string | undefined
  readonly orders: PlacedOrder[] = []
  readonly renewalInfoAsked: string[] = []
  posts = 0
  readonly authority = new Authority()
  private readonly accounts = new Map<string, JWK>()
  private readonly nonces = new Set<string>()
  private noncesMade = 0
  private server: Server | undefined

  async begin(): Promise<void> {
    const pair = this.authority.issue('acme', 'IP:127.0.0.1')
    this.server = createServer(pair, (request, response) => void this.serve(request, response))
    await new Promise<void>((resolve) => this.server?.listen(0, '127.0.0.1', resolve))
    this.directory = `${this.base}/dir`
  }

  end(): void {
    this.server?.closeAllConnections()
    this.server?.close()
    this.authority.remove()
  }

  /** PEM of whom its own certificate is by. */
  get rootsFile(): string {
    return this.authority.caFile
  }

  /** It does nothing wrong, and has no orders; accounts stay. */
  reset(): void {
    this.orders.length = 0
    this.window = undefined
    this.refuseWith = undefined
    this.chainInstead = undefined
    this.customer = undefined
    this.badNonceEvery = Number.POSITIVE_INFINITY
  }

  /** As after a loss of its database. */
  forgetAccounts(): void {
    this.accounts.clear()
  }

  get accountsMade(): number {
    return this.accounts.size
  }

  get issued(): number {
    return this.orders.filter(({ status }) => status === 'valid').length
  }

  private get base(): string {
    const address = this.server?.address() as AddressInfo | undefined
    return `https://127.0.0.1:${address?.port}`
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const nonce = `nonce-${++this.noncesMade}`
    this.nonces.add(nonce)
    response.setHeader('replay-nonce', nonce)
    try {
      const { url = '', method } = request
      const answer = method === 'POST' ? await this.post(url, await textOf(request), request) : this.get(url)
      for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value)
      response.statusCode = answer.status ?? 200
      response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
    } catch (error) {
      const { status, type, message } =
        error instanceof Refusal ? error : { status: 500, type: 'serverInternal', message: String(error) }
      response.statusCode = status
      if (this.refuseWith?.retryAfter !== undefined) response.setHeader('retry-after', this.refuseWith.retryAfter)
      response.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: message }))
    }
  }

  private get(url: string): Answer {
    const { base } = this
    if (url === '/dir')
      return {
        body: {
          newNonce: `${base}/nonce`,
          newAccount: `${base}/account`,
          newOrder: `${base}/order`,
          ...(this.window === undefined ? {} : { renewalInfo: `${base}/renewal` }),
          meta: {
            profiles: { classic: 'x', tlsserver: 'y' },
            caaIdentities: ['ca.test'],
            externalAccountRequired: this.customer !== undefined,
          },
        },
      }
    if (url === '/nonce') return { body: '' }
    const id = url.startsWith('/renewal/') ? url.slice('/renewal/'.length) : undefined
    if (id === undefined || this.window === undefined) throw new Refusal(404, 'malformed', `no ${url}`)
    this.renewalInfoAsked.push(id)
    const { explanationURL, ...suggestedWindow } = this.window
    return { body: { suggestedWindow, explanationURL }, headers: { 'retry-after': '21600' } }
  }

  private async post(url: string, text: string, request: IncomingMessage): Promise<Answer> {
    this.posts++
    if (this.refuseWith !== undefined)
      throw new Refusal(this.refuseWith.status, this.refuseWith.type, 'as the test wants')
    const { payload, key, kid } = await this.verified(url, text, request)
    if (url === '/account') {
      if (this.customer !== undefined) await this.verifyBinding(this.customer, payload, key)
      return this.account(key)
    }
    if (kid === undefined) throw new Refusal(400, 'malformed', 'no kid')
    const [, kind = '', at = ''] = url.split('/')
    if (kind === 'order' && at === '') return this.place(payload)
    const order = this.orders[Number(at)]
    if (order === undefined) throw new Refusal(404, 'malformed', `no ${url}`)
    if (kind === 'order') return { body: this.shown(order) }
    if (kind === 'chain') return { body: order.chain }
    if (kind === 'finalize') return this.finalize(order, payload)
    const name = order.names[Number(url.split('/')[3])] ?? ''
    if (kind === 'challenge') return await this.meet(order, name, tokenOf(at, name), key)
    return { body: this.authorization(order, at, name) }
  }

  /** RFC 8555 §6.2 to §6.5. */
  private async verified(
    url: string,
    text: string,
    request: IncomingMessage,
  ): Promise<{ payload: unknown; key: JWK; kid: string | undefined }> {
    if (request.headers['content-type'] !== 'application/jose+json') throw new Refusal(415, 'malformed', 'content type')
    const jws = JSON.parse(text) as Parameters<typeof flattenedVerify>[0]
    let kid: string | undefined
    let jwk: JWK | undefined
    const { payload, protectedHeader } = await flattenedVerify(
      jws,
      async (header, token) => {
        kid = header?.kid
        jwk = kid === undefined ? header?.jwk : this.accounts.get(kid)
        if (kid !== undefined && jwk === undefined) throw new Refusal(400, 'accountDoesNotExist', 'who is that?')
        return kid === undefined ? await EmbeddedJWK(header, token) : await importJWK(jwk ?? {}, 'ES256')
      },
      { algorithms: ['ES256'] },
    )
    const { nonce, url: signedUrl } = protectedHeader as { nonce?: string; url?: string }
    if (signedUrl !== `${this.base}${url}`) throw new Refusal(401, 'unauthorized', 'another url was signed')
    const isBad = this.noncesMade % this.badNonceEvery === 0
    if (!this.nonces.delete(nonce ?? '') || isBad) throw new Refusal(400, 'badNonce', `nonce ${nonce}`)
    const said = Buffer.from(payload).toString()
    return { payload: said === '' ? undefined : JSON.parse(said), key: jwk ?? {}, kid }
  }

  /** RFC 8555 §7.3.4. */
  private async verifyBinding({ keyId, key }: AccountBinding, asked: unknown, account: JWK): Promise<void> {
    const { externalAccountBinding } = asked as { externalAccountBinding: Parameters<typeof flattenedVerify>[0] }
    const { payload, protectedHeader } = await flattenedVerify(externalAccountBinding, key, { algorithms: ['HS256'] })
    const { kid, url } = protectedHeader as { kid?: string; url?: string }
    const isBound = JSON.stringify(JSON.parse(Buffer.from(payload).toString())) === JSON.stringify(account)
    if (kid !== keyId || url !== `${this.base}/account` || !isBound) throw new Refusal(401, 'unauthorized', 'not bound')
  }

  private account(key: JWK): Answer {
    const known = [...this.accounts].find(([, one]) => JSON.stringify(one) === JSON.stringify(key))
    const url = known?.[0] ?? `${this.base}/account/${this.accounts.size + 1}`
    this.accounts.set(url, key)
    return { status: known === undefined ? 201 : 200, headers: { location: url }, body: { status: 'valid' } }
  }

  private place(payload: unknown): Answer {
    const { identifiers, replaces } = payload as { identifiers: { value: string }[]; replaces?: string }
    const order: PlacedOrder = { names: identifiers.map(({ value }) => value), replaces, status: 'pending', chain: '' }
    this.orders.push(order)
    return {
      status: 201,
      headers: { location: `${this.base}/order/${this.orders.length - 1}` },
      body: this.shown(order),
    }
  }

  private shown(order: PlacedOrder): object {
    const at = this.orders.indexOf(order)
    return {
      status: order.status,
      authorizations: order.names.map((_name, n) => `${this.base}/authorization/${at}/${n}`),
      finalize: `${this.base}/finalize/${at}`,
      ...(order.status === 'valid' ? { certificate: `${this.base}/chain/${at}` } : {}),
    }
  }

  private authorization(order: PlacedOrder, at: string, name: string): object {
    const status = order.status === 'pending' ? 'pending' : order.status === 'invalid' ? 'invalid' : 'valid'
    const error =
      status === 'invalid'
        ? { error: { type: 'urn:ietf:params:acme:error:connection', detail: 'no challenge there' } }
        : {}
    const challenge = { url: `${this.base}/challenge/${at}/${order.names.indexOf(name)}`, token: tokenOf(at, name) }
    const challenges = ['http-01', 'dns-01'].map((type) => ({ type, status, ...challenge, ...error }))
    return { identifier: { type: 'dns', value: name }, status, challenges }
  }

  private async meet(order: PlacedOrder, name: string, token: string, key: JWK): Promise<Answer> {
    const wanted = `${token}.${await calculateJwkThumbprint(key)}`
    const found = await this.fetchChallenge(name, token)
    order.status = found === wanted ? 'ready' : 'invalid'
    return { body: {} }
  }

  private async fetchChallenge(name: string, token: string): Promise<string> {
    return await new Promise<string>((resolve) => {
      const path = `/.well-known/acme-challenge/${token}`
      const asked = get(
        { host: '127.0.0.1', port: this.httpPort, path, headers: { host: name }, timeout: 5000 },
        (response) => {
          if (response.statusCode === 200) void textOf(response).then(resolve)
          else resolve('')
        },
      )
      asked.on('error', () => resolve(''))
    })
  }

  private finalize(order: PlacedOrder, payload: unknown): Answer {
    if (order.status !== 'ready') throw new Refusal(403, 'orderNotReady', order.status)
    const { csr } = payload as { csr: string }
    order.chain = this.chainInstead ?? this.authority.certify(Buffer.from(csr, 'base64url'), this.days)
    const names = new X509Certificate(order.chain).subjectAltName?.split(', ').map((name) => name.slice('DNS:'.length))
    if (this.chainInstead === undefined && names?.join() !== order.names.join())
      throw new Refusal(400, 'badCSR', `for ${names?.join()}`)
    order.status = 'valid'
    return { body: this.shown(order) }
  }
}

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | object
}

function tokenOf(at: string, name: string): string {
  return Buffer.from(`token of ${at} ${name}`).toString('base64url')
}

async function textOf(from: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of from) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
