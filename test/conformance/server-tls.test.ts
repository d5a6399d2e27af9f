/** TLS on a served port, as OpenSSL's own client sees it: names, versions, resumption, renewal. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Authority } from '../kit/certificates.ts'
import { Instance, type LoginPort, run, until } from '../kit/instance.ts'
import type { Certificate } from '../kit/scripted-server.ts'
import { without } from '../kit/tool.ts'

const skip = without('openssl')
const waitMillisecondsMax = 20_000

let authority: Authority
let instance: Instance
let home = ''
before(async () => {
  if (skip !== false) return
  authority = new Authority()
  home = mkdtempSync(join(tmpdir(), 'quaver-tls-'))
  mkdirSync(join(home, 'tls'), { mode: 0o700 })
  put('.', authority.issue('usual', 'DNS:usual.test'))
  put('other', authority.issue('other', 'DNS:other.test', 'DNS:*.wild.test'))
  put('rsa', authority.selfSigned('rsa:2048', '-addext', 'subjectAltName=DNS:rsa.test'))
  instance = await Instance.start({ home, files: {}, services: ['smtp', 'submission', 'pop3', 'local'] })
})
after(async () => {
  await instance?.end()
  authority?.remove()
  if (home !== '') rmSync(home, { recursive: true, force: true })
})

/** Key before certificate, as a careless script would. */
function put(directory: string, { cert, key }: Certificate): void {
  const place = join(home, 'tls', directory)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(place, 'cert.pem'), cert)
}

/** Everything that s_client says until the server closes. */
async function sClient(...args: readonly string[]): Promise<string> {
  const to = ['s_client', '-connect', `127.0.0.1:${instance.smtpPort}`, '-starttls', 'smtp', '-ign_eof']
  const { stdout, stderr } = await run('openssl', [...to, ...args], 'noop\r\nquit\r\n')
  return stdout + stderr
}

async function subject(...args: readonly string[]): Promise<string | undefined> {
  return /subject=CN ?= ?(\S+)/.exec(await sClient(...args))?.[1]
}

describe('the certificate', { skip }, () => {
  const cases: [servername: string | undefined, gets: string][] = [
    [undefined, 'usual'],
    ['usual.test', 'usual'],
    ['other.test', 'other'],
    ['OTHER.TEST', 'other'],
    ['mx.wild.test', 'usual'],
    ['nobody.test', 'usual'],
    ['rsa.test', 'own.test'],
  ]
  for (const [servername, gets] of cases)
    it(`for ${servername ?? 'a client that names no host'} is ${gets}`, async () => {
      assert.equal(await subject(...(servername === undefined ? ['-noservername'] : ['-servername', servername])), gets)
    })
})

describe('what clients of ten years may have', { skip }, () => {
  const works: [host: string, cipher: string][] = [
    ['usual.test', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    ['usual.test', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    ['usual.test', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['rsa.test', 'ECDHE-RSA-AES128-GCM-SHA256'],
    ['rsa.test', 'ECDHE-RSA-AES256-GCM-SHA384'],
    ['rsa.test', 'ECDHE-RSA-CHACHA20-POLY1305'],
    // Port 25 only: the senders that have nothing better.
    ['rsa.test', 'ECDHE-RSA-AES128-SHA256'],
  ]
  for (const [host, cipher] of works)
    it(`TLS 1.2 with ${cipher} works`, async () => {
      const said = await sClient('-tls1_2', '-cipher', cipher, '-servername', host)
      assert.match(said, new RegExp(`New, TLSv1\\.2, Cipher is ${cipher}`))
      assert.match(said, /^221 /m)
    })

  for (const cipher of ['AES128-GCM-SHA256', 'ECDHE-RSA-AES128-SHA', 'DHE-RSA-AES128-GCM-SHA256'])
    it(`${cipher} does not`, async () => {
      assert.match(await sClient('-tls1_2', '-cipher', cipher, '-servername', 'rsa.test'), /alert handshake failure/)
    })

  it('TLS 1.1 does not', async () => {
    assert.match(await sClient('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'), /alert protocol version/)
  })

  it('a client that begins a second handshake is refused', async () => {
    const args = ['s_client', '-connect', `127.0.0.1:${instance.smtpPort}`, '-starttls', 'smtp', '-tls1_2']
    const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'pipe'] })
    let heard = ''
    const listen = (chunk: Buffer): void => void (heard += chunk.toString('latin1'))
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    try {
      await until('the handshake', waitMillisecondsMax, () => Promise.resolve(/^250 /m.test(heard) || undefined))
      child.stdin.write('R\n')
      await until('the refusal', waitMillisecondsMax, () =>
        Promise.resolve(/no renegotiation/.test(heard) || undefined),
      )
    } finally {
      child.kill()
    }
  })
})

describe('ports with passwords', { skip }, () => {
  const ports: [port: LoginPort, how: readonly string[]][] = [
    ['submission', ['-starttls', 'smtp']],
    ['submissions', []],
    ['pop3', ['-starttls', 'pop3']],
    ['pop3s', []],
  ]
  const say = async (port: LoginPort, ...args: readonly string[]): Promise<string> => {
    const to = ['s_client', '-connect', `127.0.0.1:${instance.portOf(port)}`, '-ign_eof', '-tls1_2']
    const { stdout, stderr } = await run('openssl', [...to, ...args], 'quit\r\n')
    return stdout + stderr
  }
  for (const [port, how] of ports)
    it(`${port} knows the names, and no CBC`, async () => {
      const good = await say(port, ...how, '-servername', 'rsa.test', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256')
      assert.match(good, /subject=CN ?= ?own\.test/)
      assert.match(good, /New, TLSv1\.2, Cipher is ECDHE-RSA-AES128-GCM-SHA256/)
      const cbc = await say(port, ...how, '-servername', 'rsa.test', '-cipher', 'ECDHE-RSA-AES128-SHA256')
      assert.match(cbc, /alert handshake failure/)
    })

  it('whoever waits while login is started again is served', async () => {
    const killed = await instance.pidOf('pop3d')
    await instance.kill('pop3d')
    const waiting = await Promise.all([1, 2, 3].map(() => say('pop3s', '-servername', 'other.test')))
    for (const heard of waiting) assert.match(heard, /subject=CN ?= ?other/)
    assert.notEqual(await instance.pidOf('pop3d'), killed)
  })
})

describe('sessions', { skip }, () => {
  for (const version of ['-tls1_2', '-tls1_3'])
    it(`of ${version} outlive a restart of smtpd`, async () => {
      const session = join(dirname(home), `session${version}.${process.pid}`)
      try {
        assert.match(await sClient(version, '-servername', 'other.test', '-sess_out', session), /^New, TLS/m)
        const killed = await instance.pidOf('smtpd')
        await instance.kill('smtpd')
        await until('another smtpd', waitMillisecondsMax, async () => {
          return (await instance.pidOf('smtpd')) !== killed || undefined
        })
        assert.match(await sClient(version, '-servername', 'other.test', '-sess_in', session), /^Reused, TLS/m)
      } finally {
        rmSync(session, { force: true })
      }
    })
})

describe('renewal', { skip }, () => {
  it('needs no restart, and ends what could be resumed', async () => {
    const session = join(dirname(home), `session-renewal.${process.pid}`)
    const pid = await instance.pidOf('smtpd')
    try {
      await sClient('-servername', 'other.test', '-sess_out', session)
      put('other', authority.issue('renewed', 'DNS:other.test'))
      await until('the new certificate', waitMillisecondsMax, async () => {
        return (await subject('-servername', 'other.test')) === 'renewed' || undefined
      })
      assert.match(await sClient('-servername', 'other.test', '-sess_in', session), /^New, TLS/m)
      assert.equal(await instance.pidOf('smtpd'), pid)
    } finally {
      rmSync(session, { force: true })
    }
  })

  it('with a faulty pair leaves the one before, and says so once', async () => {
    const other = authority.issue('wrong', 'DNS:usual.test')
    put('.', { cert: other.cert, key: authority.issue('wrong', 'DNS:usual.test').key })
    const complaint = 'certificate and key do not belong together'
    const complaints = async (): Promise<number> => (await instance.log()).split(complaint).length - 1
    await until('the complaint', waitMillisecondsMax, async () => (await complaints()) > 0 || undefined)
    put('third', authority.issue('third', 'DNS:third.test'))
    await until('the third certificate', waitMillisecondsMax, async () => {
      return (await subject('-servername', 'third.test')) === 'third' || undefined
    })
    assert.equal(await subject('-servername', 'usual.test'), 'usual')
    assert.equal(await complaints(), 1)
    assert.doesNotMatch(await instance.log(), /PRIVATE/)
  })
})
