/** The client's side of SCRAM-SHA-256 (RFC 5802), as far as a test needs it. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

export interface ScramAnswer {
  readonly final: string
  /** What the server has to say to it. */
  readonly serverFinal: string
}

export class ScramClient {
  readonly first: string
  private readonly gs2: string
  private readonly bound: string
  private readonly bare: string
  private readonly password: string

  /** `bound`: the bytes of the channel that `gs2` (`n,,`, `y,,`, `p=NAME,,`) names. */
  constructor(name: string, password: string, gs2 = 'n,,', bound = '') {
    this.gs2 = gs2
    this.bound = bound
    this.bare = `n=${name},r=${randomBytes(18).toString('base64')}`
    this.first = gs2 + this.bare
    this.password = password
  }

  answer(serverFirst: string): ScramAnswer {
    const [, nonce = '', salt = '', iterations = ''] = /^(r=[^,]+),s=([^,]+),i=([0-9]+)$/.exec(serverFirst) ?? []
    const salted = pbkdf2Sync(this.password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
    const channel = Buffer.from(this.gs2 + this.bound, 'latin1').toString('base64')
    const signed = `c=${channel},${nonce}`
    const message = `${this.bare},${serverFirst},${signed}`
    const clientKey = hmac(salted, 'Client Key')
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message)
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))).toString('base64')
    const serverFinal = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`
    return { final: `${signed},p=${proof}`, serverFinal }
  }
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data, 'latin1').digest()
}
