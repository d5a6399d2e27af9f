import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { AcmeRig, fault, host as name } from '#test/kit/acme-rig.ts'
import { without } from '#test/kit/tool.ts'
import { readAcmeState } from '../../stores/acme/acme-state.ts'
import { tlsPaths } from '../../stores/home/tls-files.ts'
import { realFiles } from '../../system/files.ts'

const hour = 3_600_000

describe('acme, its orders', { skip: without('openssl'), concurrency: false }, () => {
  const rig = new AcmeRig()
  before(() => rig.begin())
  after(() => rig.end())
  beforeEach(() => rig.reset())
  afterEach(() => rig.clear())

  it('a wrong chain is not installed; what start cannot install now is kept, and not ordered again', async () => {
    await rig.renewer().look()
    const first = rig.installed().serialNumber
    rig.authority.chainInstead = rig.authority.authority.issue('x', 'DNS:other.test').cert
    const one = rig.renewer()
    assert.match(
      (await one.renew(() => undefined)) ?? '',
      /not installed: the chain is no good: it is not for mail\.example\.test/,
    )
    rig.authority.chainInstead = undefined
    rig.refuses = 'the disk is full'
    assert.match((await one.renew(() => undefined)) ?? '', /not installed: the disk is full/)
    assert.equal(rig.installed().serialNumber, first)
    const { length } = rig.authority.orders
    rig.refuses = undefined
    await rig.renewer().look()
    assert.notEqual(rig.installed().serialNumber, first)
    assert.equal(rig.authority.orders.length, length)
    assert.ok(!existsSync(join(rig.home.acme, 'issued.pem')))
  })

  it('what somebody put into tls/ is not replaced, nor is a link; a key that others may read is not used', async () => {
    const { cert, key } = rig.authority.authority.issue(name, `DNS:${name}`)
    const paths = tlsPaths(rig.home.tls)
    writeFileSync(paths.key, key, { mode: 0o600 })
    writeFileSync(paths.certificate, cert)
    const one = rig.renewer()
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
    assert.equal(rig.authority.orders.length, 0)
    chmodSync(paths.key, 0o600)
    await one.look()
    assert.equal(fault(one), '')
    assert.equal(readFileSync(paths.key, 'latin1'), key)
  })

  it('a name more, another key, another authority: a new certificate at once', async () => {
    const one = rig.renewer()
    await one.look()
    rig.names = [name, 'mx.example.test']
    await one.look()
    assert.equal(rig.installed().subjectAltName, `DNS:${name}, DNS:mx.example.test`)
    rmSync(tlsPaths(rig.home.tls).key)
    await one.look()
    assert.equal(rig.authority.issued, 3, fault(one))
    // As if it were another: by another path.
    rig.settings = { directory: `${rig.authority.directory}?other` }
    await one.look()
    assert.match(fault(one), /status 404|no \/dir/)
  })

  it('an account that the authority has forgotten is made again; a state that cannot be read stops everything', async () => {
    const one = rig.renewer()
    await one.look()
    rig.authority.forgetAccounts()
    assert.equal(await one.renew(() => undefined), undefined)
    assert.equal(rig.authority.accountsMade, 1)
    writeFileSync(join(rig.home.acme, 'state.json'), '{"failure":')
    const { posts } = rig.authority
    await one.look()
    assert.match(fault(one), /state\.json: .*: remove it/)
    assert.match((await one.renew(() => undefined)) ?? '', /state\.json/)
    assert.equal(rig.authority.posts, posts)
  })

  it('a name that the DNS does not have is not ordered', async () => {
    rig.names = [name, 'nowhere.example.test']
    const one = rig.renewer()
    await one.look()
    assert.match(fault(one), /^nowhere\.example\.test has no address in the DNS/)
    assert.equal(rig.authority.orders.length, 0)
    const { failure } = await readAcmeState(realFiles, rig.home)
    assert.ok((failure?.againMs ?? 0) - rig.clock.now() < hour / 4)
  })

  it('an authority of customers alone has an account made by the key that it gave to one', async () => {
    const key = Buffer.alloc(32, 7)
    rig.authority.forgetAccounts()
    rig.authority.customer = { keyId: 'kid-1', key }
    const one = rig.renewer()
    await one.look()
    assert.match(fault(one), /is for its customers alone: write control\/acmebinding/)
    rig.settings = { binding: { keyId: 'kid-1', key: Buffer.alloc(32, 8) } }
    assert.match((await one.renew(() => undefined)) ?? '', /signature verification failed \(/)
    rig.settings = { binding: rig.authority.customer }
    assert.equal(await one.renew(() => undefined), undefined)
    // It has one now.
    rig.settings = {}
    assert.equal(await one.renew(() => undefined), undefined)
    assert.equal(rig.authority.accountsMade, 1)
  })

  it('an optional name is in the certificate while it leads here, and holds up nobody when it does not', async () => {
    rig.optional = ['mta-sts.one.test', 'elsewhere.two.test']
    const one = rig.renewer()
    await one.look()
    assert.equal(rig.installed().subjectAltName, `DNS:${name}, DNS:mta-sts.one.test`)
    rig.optional = ['elsewhere.two.test']
    await one.look()
    assert.equal(rig.authority.issued, 1)
  })

  it('a chain that is too long is not kept', async () => {
    rig.authority.chainInstead = `${rig.authority.authority.caPem}${'\n'.repeat(70_000)}`
    const one = rig.renewer()
    await one.look()
    assert.match(fault(one), /a chain of \d+ bytes, limit 65536/)
    assert.ok(!existsSync(join(rig.home.acme, 'issued.pem')))
  })

  it('a profile that the authority does not have is named, with those that it has', async () => {
    rig.settings = { profile: 'shortlived' }
    const one = rig.renewer()
    await one.look()
    assert.match(fault(one), /offers classic, tlsserver, not shortlived/)
  })
})
