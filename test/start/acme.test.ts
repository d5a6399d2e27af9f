/** A whole Quaver without a certificate gets one from an authority by ACME: from pebble where it is installed, else from ours. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { AcmeAuthority } from '../kit/acme-authority.ts'
import { DnsServer } from '../kit/dns-server.ts'
import { askAdmin, Instance, until } from '../kit/instance.ts'
import { Pebble } from '../kit/pebble.ts'
import { freePort } from '../kit/ports.ts'
import { without } from '../kit/tool.ts'

const waitMillisecondsMax = 60_000
const name = 'quaver.test'

/** What a sender is shown after STARTTLS; undefined: it is not offered. */
async function shownBy(port: number): Promise<X509Certificate | undefined> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    let heard = ''
    const reply = async (said: string): Promise<string> => {
      heard = ''
      if (said !== '') socket.write(said)
      while (!/^\d{3} .*\r\n$/m.test(heard))
        heard += await new Promise<string>((resolve, reject) => {
          socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')))
          socket.once('close', () => reject(new Error('closed')))
        })
      return heard
    }
    await reply('')
    if (!(await reply('EHLO x\r\n')).includes('STARTTLS')) return undefined
    await reply('STARTTLS\r\n')
    const secure = connectTls({ socket, servername: name, rejectUnauthorized: false })
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
    })
    return secure.getPeerX509Certificate()
  } finally {
    socket.destroy()
  }
}

describe('a certificate by ACME', { skip: without('openssl'), concurrency: false }, () => {
  let quaver: Instance
  let authority: { readonly directory: string; readonly caPem: string }
  let end: () => void | Promise<void> = () => undefined
  let httpPort = 0
  let dns: DnsServer

  before(async () => {
    dns = (await DnsServer.listen()).set(name, 'A 127.0.0.1').set(`mta-sts.${name}`, 'A 127.0.0.1')
    httpPort = await freePort()
    if (without('pebble') === false) {
      const pebble = new Pebble(httpPort, dns.server)
      end = () => pebble.end()
      await pebble.begin()
      authority = pebble
    } else {
      const ours = new AcmeAuthority()
      end = () => ours.end()
      await ours.begin()
      ours.httpPort = httpPort
      authority = { directory: ours.directory, caPem: ours.authority.caPem }
    }
    quaver = await Instance.start({
      services: ['smtp', 'local', 'http', 'https'],
      idle: ['httpsd'],
      files: { 'control/listen-http': `127.0.0.1:${httpPort}\n`, 'control/acme': `${authority.directory}\n` },
      prepare: async (home) => {
        await writeFile(join(home, 'roots.pem'), authority.caPem)
        await writeFile(join(home, 'control/dnsservers'), `${dns.server}\n`)
        await writeFile(join(home, 'control/listen-https'), '127.0.0.1:0\n')
        // One leads here, the other nowhere.
        await writeFile(join(home, 'control/mtasts'), `${name}:testing\nnowhere.test:enforce\n`)
        await writeFile(join(home, 'control/acmeroots'), `${join(home, 'roots.pem')}\n`)
      },
    })
  })
  after(async () => {
    await quaver?.end()
    await end()
    dns.close()
  })

  const path = (of: string): string => join(quaver.home, of)
  const serial = async (): Promise<string> => new X509Certificate(await readFile(path('tls/cert.pem'))).serialNumber
  const shown = async (wanted: string): Promise<X509Certificate> =>
    await until(
      `certificate ${wanted} shown by SMTP`,
      waitMillisecondsMax,
      async () => {
        const certificate = await shownBy(quaver.smtpPort)
        return certificate?.serialNumber === wanted ? certificate : undefined
      },
      200,
    )

  it('comes by itself, and SMTP shows it without a restart', async () => {
    await until('tls/cert.pem', waitMillisecondsMax, async () => {
      const { stdout } = await quaver.quaver('tls', 'status', '--json')
      const { acme } = JSON.parse(stdout) as { readonly acme: { readonly state: string } }
      return acme.state === 'issued' ? true : undefined
    }).catch(async (error: unknown) => assert.fail(`${String(error)}\n${await quaver.log()}`))
    const certificate = await shown(await serial())
    // pebble sorts them.
    assert.deepEqual(certificate.subjectAltName?.split(', ').sort(), [`DNS:mta-sts.${name}`, `DNS:${name}`])
    assert.equal((await stat(path('tls/key.pem'))).mode & 0o777, 0o600)
    const { stdout, code } = await quaver.quaver('tls', 'status')
    assert.equal(code, 0, stdout)
    assert.match(stdout, /^tls {2}.*quaver\.test {2}by .+ {2}for \d+ \w+ more\n/)
    assert.match(stdout, / state {4}issued\n {2}account {2}https:.*\n {2}renewal {2}in \d+ \w+ \(/)
  })

  it('is renewed when somebody asks, with the same key', async () => {
    const [first, key] = [await serial(), await readFile(path('tls/key.pem'), 'latin1')]
    const { stdout, stderr, code } = await quaver.quaver('tls', 'renew')
    assert.equal(code, 0, stdout + stderr)
    assert.match(
      stdout,
      /\nordered: https:.*\n(?:.*\n)*the certificate for quaver\.test, mta-sts\.quaver\.test is installed\n$/,
    )
    assert.notEqual(await serial(), first)
    await shown(await serial())
    assert.equal(await readFile(path('tls/key.pem'), 'latin1'), key)
  })

  it('a restart shows it at once, and asks the authority for nothing', async () => {
    const kept = await serial()
    await quaver.restart()
    assert.equal((await shownBy(quaver.smtpPort))?.serialNumber, kept)
    await quaver.logged(/acme runs, pid \d+[^]*acme runs, pid \d+/)
    assert.equal((await quaver.log()).match(/ordered: /g)?.length, 2)
  })

  it('what fails is told by status, with what to do', async () => {
    await writeFile(path('control/acmehook'), '/nowhere/hook\n')
    await until(
      'the hook tried',
      waitMillisecondsMax,
      async () => /acmehook/.test((await quaver.quaver('tls', 'renew')).stderr) || undefined,
      1000,
    )
    const { stdout, code } = await quaver.quaver('status')
    assert.equal(code, 1)
    assert.match(stdout, /trouble acme, .*certificate could not be got[^]*acmehook[^]*to do: .*quaver tls renew/)
    await rm(path('control/acmehook'))
  })

  it('httpsd shows the policies of MTA-STS, and nothing else', async () => {
    const [summary] = await askAdmin(path('run/start.sock'), { op: 'status' })
    const { listening } = summary as { readonly listening: Readonly<Record<string, readonly string[]>> }
    const port = Number(listening['https']?.[0]?.split(':').at(-1))
    const get = async (host: string, of: string): Promise<string> =>
      await new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port, path: of, servername: name, headers: { host }, agent: false }
        const asked = request({ ...options, rejectUnauthorized: false }, (response) => {
          let said = `${response.statusCode} `
          response.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')))
          response.on('end', () => resolve(said))
        })
        asked.on('error', reject)
        asked.end()
      })
    const policy = '/.well-known/mta-sts.txt'
    const text = 'version: STSv1\r\nmode: testing\r\nmx: quaver.test\r\nmax_age: 86400\r\n'
    await until('httpsd serving', waitMillisecondsMax, async () => (await get(name, '/').catch(() => '')) || undefined)
    assert.equal(await get(`mta-sts.${name}`, policy), `200 ${text}`)
    assert.equal(await get(`MTA-STS.${name}:443`, policy), `200 ${text}`)
    for (const [host, of] of [
      [name, policy],
      ['mta-sts.other.test', policy],
      [`mta-sts.${name}`, '/'],
      [`mta-sts.${name}`, '/.well-known/acme-challenge/quaver'],
    ] as const)
      assert.equal(await get(host, of), '404 not found\n', `${host}${of}`)
  })

  it('httpd shows challenges, and nothing else', async () => {
    const get = async (of: string, method = 'GET'): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${httpPort}${of}`, { method })
      return [response.status, await response.text()]
    }
    assert.deepEqual(await get('/.well-known/acme-challenge/quaver'), [200, 'quaver\n'])
    await mkdir(path('acme/challenge/deeper'))
    for (const other of [
      '/',
      '/.well-known/acme-challenge/',
      '/.well-known/acme-challenge/..%2fstate.json',
      '/acme/state.json',
    ])
      assert.deepEqual(await get(other), [404, 'not found\n'], other)
    assert.deepEqual(await get('/.well-known/acme-challenge/quaver', 'DELETE'), [405, 'only GET\n'])
    assert.equal((await get('/.well-known/acme-challenge/deeper'))[0], 503)
  })
})
