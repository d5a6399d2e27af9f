import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { AcmeAuthority } from '#test/kit/acme-authority.ts'
import { without } from '#test/kit/tool.ts'
import type { CertificateAnswer } from '../../contracts/certificates.ts'
import { describeError } from '../../base/outcome.ts'
import { renewalIdOf } from '../../protocols/acme/renewal.ts'
import { readChallenge } from '../../stores/acme/challenge-files.ts'
import { readAcmeState } from '../../stores/acme/acme-state.ts'
import { certificateRequest, installChain } from '../../stores/home/certified-pair.ts'
import { type Home, homeAt } from '../../stores/home/layout.ts'
import { tlsPaths, writeSelfSigned } from '../../stores/home/tls-files.ts'
import { type Clock, realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { challengeServer } from '../httpd/challenge-server.ts'
import { byFiles, byHook } from './proofs.ts'
import { type AcmeSettings, Renewer } from './renewer.ts'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'

const hour = 3_600_000
const day: number = 24 * hour
const name = 'mail.example.test'

describe('acme', { skip: without('openssl'), concurrency: false }, () => {
  const authority = new AcmeAuthority()
  let httpd: Server
  let home: Home
  let shift = 0
  let log: string[] = []
  let names: readonly string[] = [name]
  let refuses: string | undefined
  let settings: Partial<AcmeSettings> = {}
  const clock: Clock = { ...realClock, now: () => Date.now() + shift }

  before(async () => {
    await authority.begin()
    httpd = challengeServer(
      (token) => readChallenge(realFiles, home, token),
      () => undefined,
    )
    await new Promise<void>((resolve) => httpd.listen(0, '127.0.0.1', resolve))
    authority.httpPort = (httpd.address() as AddressInfo).port
  })
  after(() => {
    authority.end()
    httpd.close()
  })
  beforeEach(() => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-acme-')))
    mkdirSync(home.tls, { mode: 0o700 })
    mkdirSync(join(home.acme, 'challenge'), { recursive: true })
    shift = 0
    log = []
    names = [name]
    refuses = undefined
    settings = {}
    authority.orders.length = 0
    authority.window = undefined
    authority.refuseWith = undefined
    authority.chainInstead = undefined
    authority.customer = undefined
    authority.badNonceEvery = Number.POSITIVE_INFINITY
  })
  afterEach(() => rmSync(home.path, { recursive: true, force: true }))

  /** As start answers. */
  const certificates = {
    ask: () =>
      answered(async () => ({ kind: 'request', ref: 0, ...(await certificateRequest(realFiles, home.tls, names)) })),
    install: (chainPem: string) =>
      answered(async () => {
        if (refuses !== undefined) throw new Error(refuses)
        await installChain(realFiles, home.tls, { names, chainPem, now: clock.now() })
        return { kind: 'installed', ref: 0 }
      }),
  }
  const answered = (act: () => Promise<CertificateAnswer>): Promise<CertificateAnswer> =>
    act().catch((error: unknown) => ({ kind: 'refused', ref: 0, why: describeError(error) }))

  const renewer = (): Renewer =>
    new Renewer({
      home,
      files: realFiles,
      clock,
      random: realRandom,
      certificates,
      isNowhere: async (of) => of.startsWith('nowhere'),
      log: (line) => log.push(line),
      settings: async () => ({
        directory: authority.directory,
        contact: 'postmaster@example.test',
        binding: undefined,
        profile: undefined,
        proof: byFiles(realFiles, home),
        roots: authority.authority.caPem,
        ...settings,
      }),
    })
  const installed = (): X509Certificate => new X509Certificate(readFileSync(tlsPaths(home.tls).certificate))
  const fault = (one: Renewer): string => one.troubles()[0]?.text ?? ''

  it('from nothing to a certificate: account, order, challenge, chain; a second look asks for nothing', async () => {
    authority.badNonceEvery = 4
    const one = renewer()
    await one.look()
    assert.equal(fault(one), '', log.join('\n'))
    assert.equal(installed().subjectAltName, `DNS:${name}`)
    assert.equal(authority.issued, 1)
    const { posts } = authority
    await one.look()
    await renewer().look()
    assert.equal(authority.posts, posts)
    const { account, failure, renewal, issued } = await readAcmeState(realFiles, home)
    assert.deepEqual(issued?.caaNames, ['ca.test'])
    assert.match(account?.url ?? '', /^https:.*\/account\/\d+$/)
    assert.equal(failure, undefined)
    const left = (renewal?.atMs ?? 0) - Date.now()
    assert.ok(left > 0.6 * 45 * day && left <= (2 / 3) * 45 * day, String(left / day))
    // The challenge is taken away again.
    const token = Buffer.from(`token of 0 ${name}`).toString('base64url')
    assert.equal(await readChallenge(realFiles, home, token), undefined)
  })

  it('keeps the key of a certificate that signed itself, and renews when a third of the life is left', async () => {
    await writeSelfSigned(realFiles, home.tls, name, clock, realRandom)
    const key = readFileSync(tlsPaths(home.tls).key, 'latin1')
    const one = renewer()
    await one.look()
    const first = installed().serialNumber
    shift = 31 * day
    await renewer().look()
    assert.notEqual(installed().serialNumber, first)
    assert.equal(readFileSync(tlsPaths(home.tls).key, 'latin1'), key)
    assert.equal(authority.issued, 2)
  })

  it('ARI: a window to come is waited for, one that has moved to now is obeyed, and the order says what it replaces', async () => {
    const iso = (ms: number): string => new Date(ms).toISOString()
    authority.window = { start: iso(Date.now() + 20 * day), end: iso(Date.now() + 21 * day) }
    const one = renewer()
    await one.look()
    await one.look()
    const drawn = (await readAcmeState(realFiles, home)).renewal?.atMs ?? 0
    assert.ok(drawn > Date.now() + 19 * day && drawn < Date.now() + 22 * day)
    assert.equal(authority.issued, 1)
    authority.window = {
      start: iso(Date.now() - day),
      end: iso(Date.now() - hour),
      explanationURL: 'https://ca.test/why',
    }
    // Not before the time that the authority has said.
    const asked = authority.renewalInfoAsked.length
    await one.look()
    assert.equal(authority.renewalInfoAsked.length, asked)
    shift = 7 * hour
    const id = renewalIdOf(installed().raw)
    await one.look()
    assert.equal(authority.issued, 2, log.join('\n'))
    assert.equal(authority.orders.at(-1)?.replaces, id)
    assert.ok(authority.renewalInfoAsked.includes(id ?? ''))
    assert.match(log.join('\n'), /says why it is renewed then: https:\/\/ca\.test\/why/)
  })

  it('an authority that is away, then says no: waits longer each time, over restarts, and keeps what is in force', async () => {
    await renewer().look()
    const first = installed().serialNumber
    shift = 40 * day
    authority.refuseWith = { status: 503, type: 'serverInternal', retryAfter: '1800' }
    const one = renewer()
    await one.look()
    assert.match(fault(one), /as the test wants \(serverInternal\)/)
    const { posts } = authority
    await one.look()
    await renewer().look()
    shift += hour / 3
    await renewer().look()
    assert.equal(authority.posts, posts, 'within the time that it asked for, and over restarts')
    shift += hour / 3
    authority.refuseWith = { status: 403, type: 'rejectedIdentifier' }
    await one.look()
    assert.ok(authority.posts > posts)
    const { failure } = await readAcmeState(realFiles, home)
    assert.equal(failure?.count, 2)
    const wait = (failure?.againMs ?? 0) - clock.now()
    assert.ok(wait > 1.7 * hour && wait < 2.3 * hour, String(wait / hour))
    assert.equal(installed().serialNumber, first)
    authority.refuseWith = undefined
    shift += 3 * hour
    await one.look()
    assert.equal(fault(one), '')
    assert.notEqual(installed().serialNumber, first)
    assert.equal((await readAcmeState(realFiles, home)).failure, undefined)
  })

  it('a challenge that nobody shows: the authority’s words; and no more than four attempts in an hour are made by hand', async () => {
    settings = { proof: { type: 'http-01', present: async () => undefined, clear: async () => undefined } }
    const one = renewer()
    const steps: string[] = []
    for (let n = 0; n < 4; n++)
      assert.match(
        (await one.renew((step) => steps.push(step))) ?? '',
        /mail\.example\.test: no challenge there \(connection\)/,
      )
    assert.match((await one.renew(() => undefined)) ?? '', /^4 attempts failed within the hour/)
    assert.equal(authority.orders.length, 4)
    assert.match(steps.join('\n'), /the authority looks at the challenge \(http-01\)/)
    shift = 2 * hour
    settings = {}
    assert.equal(await one.renew(() => undefined), undefined)
  })

  it('a wrong chain is not installed; what start cannot install now is kept, and not ordered again', async () => {
    await renewer().look()
    const first = installed().serialNumber
    authority.chainInstead = authority.authority.issue('x', 'DNS:other.test').cert
    const one = renewer()
    assert.match(
      (await one.renew(() => undefined)) ?? '',
      /not installed: the chain is no good: it is not for mail\.example\.test/,
    )
    authority.chainInstead = undefined
    refuses = 'the disk is full'
    assert.match((await one.renew(() => undefined)) ?? '', /not installed: the disk is full/)
    assert.equal(installed().serialNumber, first)
    const { length } = authority.orders
    refuses = undefined
    await renewer().look()
    assert.notEqual(installed().serialNumber, first)
    assert.equal(authority.orders.length, length)
    assert.ok(!existsSync(join(home.acme, 'issued.pem')))
  })

  it('what somebody put into tls/ is not replaced, nor is a link; a key that others may read is not used', async () => {
    const { cert, key } = authority.authority.issue(name, `DNS:${name}`)
    const paths = tlsPaths(home.tls)
    writeFileSync(paths.key, key, { mode: 0o600 })
    writeFileSync(paths.certificate, cert)
    const one = renewer()
    await one.look()
    assert.match(fault(one), /cert\.pem was put there by somebody, and is not replaced/)
    rmSync(paths.certificate)
    symlinkSync('/nowhere/fullchain.pem', paths.certificate)
    await one.look()
    assert.match(fault(one), /cert\.pem is a link/)
    rmSync(paths.certificate)
    chmodSync(paths.key, 0o644)
    await one.look()
    assert.match(fault(one), /key\.pem may be read by others: chmod 600/)
    assert.equal(authority.orders.length, 0)
    chmodSync(paths.key, 0o600)
    await one.look()
    assert.equal(fault(one), '')
    assert.equal(readFileSync(paths.key, 'latin1'), key)
  })

  it('a name more, another key, another authority: a new certificate at once', async () => {
    const one = renewer()
    await one.look()
    names = [name, 'mx.example.test']
    await one.look()
    assert.equal(installed().subjectAltName, `DNS:${name}, DNS:mx.example.test`)
    rmSync(tlsPaths(home.tls).key)
    await one.look()
    assert.equal(authority.issued, 3, fault(one))
    // As if it were another: by another path.
    settings = { directory: `${authority.directory}?other` }
    await one.look()
    assert.match(fault(one), /status 404|no \/dir/)
  })

  it('an account that the authority has forgotten is made again; a state that cannot be read stops everything', async () => {
    const one = renewer()
    await one.look()
    authority.forgetAccounts()
    assert.equal(await one.renew(() => undefined), undefined)
    assert.equal(authority.accountsMade, 1)
    writeFileSync(join(home.acme, 'state.json'), '{"failure":')
    const { posts } = authority
    await one.look()
    assert.match(fault(one), /state\.json: .*: remove it/)
    assert.match((await one.renew(() => undefined)) ?? '', /state\.json/)
    assert.equal(authority.posts, posts)
  })

  it('a name that the DNS does not have is not ordered', async () => {
    names = [name, 'nowhere.example.test']
    const one = renewer()
    await one.look()
    assert.match(fault(one), /^nowhere\.example\.test has no address in the DNS/)
    assert.equal(authority.orders.length, 0)
    const { failure } = await readAcmeState(realFiles, home)
    assert.ok((failure?.againMs ?? 0) - clock.now() < hour / 4)
  })

  it('a process that dies in the middle of an attempt makes the next one wait', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const never = new Promise<void>(() => undefined)
    const present = (): Promise<void> => {
      begin()
      return never
    }
    settings = { proof: { type: 'http-01', present, clear: async () => undefined } }
    void renewer().look()
    await begun
    const after = renewer()
    await after.look()
    assert.match(fault(after), /the last attempt ended in its middle/)
    assert.equal(authority.orders.length, 1)
  })

  it('a stop in the middle of an attempt counts as none, and the next start waits a minute', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    settings = { proof: { type: 'http-01', present: async () => begin(), clear: async () => undefined } }
    const one = renewer()
    void one.look()
    await begun
    await one.stop()
    const { failure } = await readAcmeState(realFiles, home)
    assert.deepEqual([failure?.count, failure?.timesMs], [0, []])
    assert.match(failure?.text ?? '', /cut off by a stop/)
    await one.look()
  })

  it('asked for during a mere look, it is renewed; during an attempt, that is the one', async () => {
    const one = renewer()
    const [, fault] = await Promise.all([one.look(), one.renew(() => undefined)])
    assert.deepEqual([fault, authority.issued], [undefined, 1])
    await Promise.all([one.look(), one.renew(() => undefined)])
    assert.equal(authority.issued, 2)
  })

  it('an authority of customers alone has an account made by the key that it gave to one', async () => {
    const key = Buffer.alloc(32, 7)
    authority.forgetAccounts()
    authority.customer = { keyId: 'kid-1', key }
    const one = renewer()
    await one.look()
    assert.match(fault(one), /is for its customers alone: write control\/acmebinding/)
    settings = { binding: { keyId: 'kid-1', key: Buffer.alloc(32, 8) } }
    assert.match((await one.renew(() => undefined)) ?? '', /signature verification failed \(/)
    settings = { binding: authority.customer }
    assert.equal(await one.renew(() => undefined), undefined)
    // It has one now.
    settings = {}
    assert.equal(await one.renew(() => undefined), undefined)
    assert.equal(authority.accountsMade, 1)
  })

  it('a profile that the authority does not have is named, with those that it has', async () => {
    settings = { profile: 'shortlived' }
    const one = renewer()
    await one.look()
    assert.match(fault(one), /offers classic, tlsserver, not shortlived/)
  })

  it('dns-01: the hook is run with the record, and again to clean up; what it says is told', async () => {
    const hook = join(home.path, 'hook')
    const said = join(home.path, 'said')
    writeFileSync(hook, `#!/bin/sh\necho "$@" >> ${said}\n`, { mode: 0o755 })
    const proof = byHook([hook, 'zone'], home.path)
    await proof.present(name, 'token', 'token.thumbprint')
    await proof.clear(name, 'token', 'token.thumbprint')
    assert.match(
      readFileSync(said, 'latin1'),
      /^zone present _acme-challenge\.mail\.example\.test\. [\w-]{43}\nzone cleanup _acme-challenge\.mail\.example\.test\. [\w-]{43}\n$/,
    )
    writeFileSync(hook, '#!/bin/sh\necho no such zone >&2; exit 3\n')
    await assert.rejects(proof.present(name, 't', 't.h'), /acmehook: .*hook ended with exit code 3: no such zone$/)
    await assert.rejects(byHook(['/nowhere/hook'], home.path).present(name, 't', 't.h'), /acmehook: .*ENOENT/)
  })
})
