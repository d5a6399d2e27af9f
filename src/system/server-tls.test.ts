import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { connect, type ConnectionOptions, type SecureVersion, type TLSSocket } from 'node:tls'
import { fromBuffer } from '../base/byte-string.ts'
import type { ChannelBindings } from '../contracts/auth.ts'
import type { NamedPair, TlsOrder } from '../contracts/supervise.ts'
import { Authority } from '#test/kit/certificates.ts'
import { without } from '#test/kit/tool.ts'
import { pairFault, ServerTls, type Suites } from './server-tls.ts'

const skip = without('openssl')
const keys = (letter: string): string => letter.repeat(48)

let authority: Authority
let usual: NamedPair
let other: NamedPair
before(() => {
  if (skip !== false) return
  authority = new Authority()
  usual = pair([], 'DNS:usual.test')
  other = pair(['other.test', 'third.test'], 'DNS:other.test', 'DNS:third.test')
})
after(() => authority?.remove())

function pair(names: readonly string[], ...subjectAltNames: string[]): NamedPair {
  const { cert, key } = authority.issue('x', ...subjectAltNames)
  return { names, certificatePem: cert, keyPem: key }
}

function order(ticketKeys: string, ...pairs: NamedPair[]): TlsOrder {
  return { kind: 'tls', pairs, ticketKeys: keys(ticketKeys) }
}

/** A server that says one byte after the handshake and keeps what both ends can bind to. */
class Port {
  readonly tls: ServerTls
  bindings: ChannelBindings = new Map()
  private readonly server: Server

  constructor(given: TlsOrder, suites?: Suites) {
    this.tls = new ServerTls(suites)
    assert.equal(this.tls.give(given), undefined)
    this.server = createServer((socket) => {
      const secure = this.tls.secure(socket, 'pop3')
      secure.on('error', () => socket.destroy())
      secure.on('secure', () => {
        this.bindings = this.tls.bindings(secure)
        secure.end('.')
      })
    })
  }

  async meet(options: ConnectionOptions = {}): Promise<Met> {
    if (!this.server.listening) await once(this.server.listen(0, '127.0.0.1'), 'listening')
    const { port } = this.server.address() as AddressInfo
    return await meet({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  }

  close(): void {
    this.server.close()
  }
}

interface Met {
  readonly subject: string | undefined
  readonly reused: boolean
  readonly cipher: string
  readonly exported: string
  /** The client's Finished. */
  readonly finished: string
  readonly session: Buffer | undefined
}

async function meet(options: ConnectionOptions): Promise<Met> {
  const socket: TLSSocket = connect(options)
  let session: Buffer | undefined
  socket.on('session', (latest) => (session = latest))
  await once(socket, 'secureConnect')
  const met = {
    subject: socket.getPeerX509Certificate()?.subjectAltName,
    reused: socket.isSessionReused(),
    cipher: socket.getCipher().name,
    exported: fromBuffer(socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))),
    finished: fromBuffer(socket.getFinished() ?? Buffer.alloc(0)),
  }
  socket.resume()
  await once(socket, 'close')
  return { ...met, session }
}

describe('a server with several certificates', { skip }, () => {
  let port: Port
  before(() => (port = new Port(order('a', usual, other))))
  after(() => port?.close())

  const cases: [servername: string | undefined, gets: string][] = [
    [undefined, 'usual.test'],
    ['other.test', 'other.test'],
    ['THIRD.test', 'other.test'],
    ['usual.test', 'usual.test'],
    ['sub.other.test', 'usual.test'],
    ['__proto__', 'usual.test'],
    ['constructor', 'usual.test'],
    [`${'x'.repeat(63)}.${'y'.repeat(180)}`, 'usual.test'],
  ]
  for (const [servername, gets] of cases)
    it(`${servername?.slice(0, 40) ?? 'without a name'} gets ${gets}`, async () => {
      const { subject } = await port.meet(servername === undefined ? {} : { servername })
      assert.match(subject ?? '', new RegExp(`^DNS:${gets}`))
    })

  it('a client of another protocol is turned away, one that names ours is not', async () => {
    await assert.rejects(port.meet({ ALPNProtocols: ['h2', 'http/1.1'] }), /no application protocol|ALERT/i)
    assert.match((await port.meet({ ALPNProtocols: ['imap', 'pop3'] })).subject ?? '', /usual/)
  })
})

describe('what is offered', { skip }, () => {
  const only = (ciphers: string, version: SecureVersion = 'TLSv1.2'): ConnectionOptions => {
    return { ciphers, minVersion: version, maxVersion: version }
  }
  const refused = /handshake failure|ALERT|protocol version/i

  for (const cipher of [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ])
    it(`TLS 1.2 with ${cipher}`, async (t) => {
      const port = new Port(order('a', usual))
      t.after(() => port.close())
      assert.equal((await port.meet(only(cipher))).cipher, cipher)
    })

  it('the server chooses', async (t) => {
    const port = new Port(order('a', usual))
    t.after(() => port.close())
    const mine = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384'
    assert.equal((await port.meet(only(mine))).cipher, 'ECDHE-ECDSA-AES256-GCM-SHA384')
  })

  it('CBC only where the sender would take clear text instead', async (t) => {
    const cbc = only('ECDHE-ECDSA-AES128-SHA256')
    const [people, exchanger] = [new Port(order('a', usual)), new Port(order('a', usual), 'opportunistic')]
    t.after(() => {
      people.close()
      exchanger.close()
    })
    await assert.rejects(people.meet(cbc), refused)
    assert.equal((await exchanger.meet(cbc)).cipher, 'ECDHE-ECDSA-AES128-SHA256')
    await assert.rejects(exchanger.meet(only('ECDHE-ECDSA-AES128-SHA')), refused)
  })

  it('nothing before TLS 1.2', async (t) => {
    const port = new Port(order('a', usual), 'opportunistic')
    t.after(() => port.close())
    await assert.rejects(port.meet(only('ALL:@SECLEVEL=0', 'TLSv1.1')), refused)
  })
})

describe('sessions', { skip }, () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = { minVersion: version, maxVersion: version, servername: 'other.test' }

    it(`of ${version} are resumed by another process with the same keys, not after new ones`, async (t) => {
      const [first, second, renewed] = ['a', 'a', 'b'].map((letter) => new Port(order(letter, usual, other)))
      assert.ok(first !== undefined && second !== undefined && renewed !== undefined)
      t.after(() => [first, second, renewed].forEach((port) => port.close()))
      const met = await first.meet(client)
      assert.ok(!met.reused && met.session !== undefined)
      assert.equal((await second.meet({ ...client, session: met.session })).reused, true)
      assert.equal((await renewed.meet({ ...client, session: met.session })).reused, false)
    })
  }
})

describe('channel bindings', { skip }, () => {
  const endPoint = ({ certificatePem }: NamedPair, hash = 'sha256'): string =>
    fromBuffer(createHash(hash).update(new X509Certificate(certificatePem).raw).digest())
  const on13 = { minVersion: 'TLSv1.3' } as const
  const on12 = { maxVersion: 'TLSv1.2' } as const

  it('tls-exporter is what the client exports; tls-server-end-point is of the certificate that was sent', async (t) => {
    const port = new Port(order('a', usual, other))
    t.after(() => port.close())
    const { exported } = await port.meet({ ...on13, servername: 'other.test' })
    assert.deepEqual(
      [...port.bindings],
      [
        ...new Map([
          ['tls-exporter', exported],
          ['tls-server-end-point', endPoint(other)],
        ]),
      ],
    )
    await port.meet(on13)
    assert.equal(port.bindings.get('tls-server-end-point'), endPoint(usual))
  })

  it('TLS 1.2 has no exporter that is known to be safe; tls-unique is what the client said first', async (t) => {
    const port = new Port(order('a', usual, other))
    t.after(() => port.close())
    const { finished } = await port.meet({ ...on12, servername: 'third.test' })
    assert.equal(finished.length, 12)
    assert.deepEqual(
      [...port.bindings],
      [
        ...new Map([
          ['tls-unique', finished],
          ['tls-server-end-point', endPoint(other)],
        ]),
      ],
    )
  })

  it('a resumed session is bound to the certificate it began with, or to none', async (t) => {
    const port = new Port(order('a', usual, other))
    t.after(() => port.close())
    for (const [version, expected] of [
      [on13, endPoint(other)],
      [on12, undefined],
    ] as const) {
      const { session } = await port.meet({ ...version, servername: 'other.test' })
      assert.ok(session !== undefined)
      assert.equal((await port.meet({ ...version, servername: 'other.test', session })).reused, true)
      assert.equal(port.bindings.get('tls-server-end-point'), expected)
      assert.equal(port.bindings.has('tls-unique'), false)
    }
  })

  it('with one certificate a resumed session of TLS 1.2 is bound to it', async (t) => {
    const port = new Port(order('a', usual))
    t.after(() => port.close())
    const { session } = await port.meet(on12)
    assert.ok(session !== undefined)
    assert.equal((await port.meet({ ...on12, session })).reused, true)
    assert.equal(port.bindings.get('tls-server-end-point'), endPoint(usual))
  })

  it('the hash is that of the signature; Ed25519 has none', async (t) => {
    for (const hash of ['sha384', 'sha512']) {
      const signed = authority.selfSigned('ec', `-${hash}`)
      const port = new Port(order('a', { names: [], certificatePem: signed.cert, keyPem: signed.key }))
      t.after(() => port.close())
      await port.meet()
      assert.equal(
        port.bindings.get('tls-server-end-point'),
        endPoint({ names: [], certificatePem: signed.cert, keyPem: '' }, hash),
      )
    }
    const edwards = authority.selfSigned('ed25519')
    const port = new Port(order('a', { names: [], certificatePem: edwards.cert, keyPem: edwards.key }))
    t.after(() => port.close())
    await port.meet()
    assert.deepEqual([...port.bindings.keys()], ['tls-exporter'])
  })
})

describe('a faulty order', { skip }, () => {
  it('names the pair without its key, and leaves everything as it was', async (t) => {
    const port = new Port(order('a', usual, other))
    t.after(() => port.close())
    const mixed = { ...other, names: ['new.test'], keyPem: usual.keyPem }
    const fault = port.tls.give(order('b', pair([], 'DNS:renewed.test'), mixed)) ?? ''
    assert.match(fault, /^new\.test: .*key values mismatch/)
    for (const line of usual.keyPem.split('\n').slice(1, -2)) assert.ok(!fault.includes(line))
    assert.match((await port.meet()).subject ?? '', /usual/)
    assert.match((await port.meet({ servername: 'other.test' })).subject ?? '', /other/)
  })

  it('without a certificate nothing is available', () => {
    const tls = new ServerTls()
    assert.equal(tls.give({ kind: 'tls', pairs: [], ticketKeys: keys('a') }), 'there is none')
    assert.equal(tls.available, false)
  })
})

describe('a pair that belongs together but cannot serve', { skip }, () => {
  it('is a fault: an RSA key of 1024 bits', () => {
    const weak = authority.selfSigned('rsa:1024')
    assert.match(pairFault(weak.cert, weak.key) ?? '', /key too small/)
    const usable = authority.selfSigned('rsa:2048')
    assert.equal(pairFault(usable.cert, usable.key), undefined)
  })
})
