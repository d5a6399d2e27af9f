/** The real authd, asked through login's client, with lspawn played. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AuthdProcess, willing } from '#test/kit/authd-process.ts'
import { ScramClient } from '#test/kit/scram-client.ts'
import type { AuthStep } from '../../src/clients/auth/auth-client.ts'
import { encodeHello } from '../../src/contracts/hello.ts'
import { setCredential, setDisabled } from '../../src/stores/credentials/credentials.ts'
import { socketPath } from '../../src/stores/home/layout.ts'
import { connectPath } from '../../src/system/frame-connection.ts'
import { locksFrom } from '../../src/programs/authd/limits.ts'

const anna = 'anna@example.test'
const secret = 'correct horse'
const wrong = { kind: 'rejected', why: 'credentials' }
const locked = { kind: 'rejected', why: 'locked' }

function challenge(step: AuthStep): Extract<AuthStep, { kind: 'challenge' }> {
  assert.ok(step.kind === 'challenge', JSON.stringify(step))
  return step
}

function isAccepted(step: AuthStep, account = anna): void {
  assert.equal(step.kind === 'accepted' ? step.account : JSON.stringify(step), account)
}

describe('authd', () => {
  const authd = new AuthdProcess()

  before(async () => {
    await setCredential(authd.home, anna, '', secret)
    await setCredential(authd.home, anna, 'phone', 'app password')
    await setCredential(authd.home, 'post@host.test', '', secret)
    await setCredential(authd.home, 'root', '', secret)
    await setCredential(authd.home, 'root@host.test', '', secret)
    await setCredential(authd.home, 'off@example.test', '', secret)
    await setDisabled(authd.home, 'off@example.test', true)
    await authd.start()
  })
  after(() => authd.stop())

  const scram = async (client: ScramClient, mechanism = 'SCRAM-SHA-256', bound?: string): Promise<AuthStep> => {
    const bindings = new Map(bound === undefined ? [] : [['tls-exporter', bound] as const])
    const second = await authd.begin(mechanism, client.first, { bindings })
    if (second.kind !== 'challenge') return second
    const { final, serverFinal } = client.answer(second.data)
    const third = await second.respond(final)
    if (third.kind !== 'challenge') return third
    assert.equal(third.data, serverFinal)
    return await third.respond('')
  }

  const path = join(authd.home.control, 'saslmechanisms')
  const offers = async (expected: readonly string[]): Promise<void> => {
    while (authd.client.mechanisms().join() !== expected.join()) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  it('offers the mechanisms in order', () => {
    assert.deepEqual(authd.client.mechanisms(), ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'])
  })

  it('control/saslmechanisms says which, and in which order; what cannot be is left out', async () => {
    writeFileSync(path, '# ours\nlogin\nOAUTHBEARER\nscram-sha-256-plus\nNTLM\nlogin\n')
    await offers(['LOGIN', 'SCRAM-SHA-256-PLUS'])
    assert.deepEqual(await authd.plain(anna, secret), { kind: 'rejected', why: 'mechanism' })
    rmSync(path)
    await offers(['SCRAM-SHA-256', 'PLAIN', 'LOGIN'])
  })

  it('a name with a blank around it is the name; a password may be Latin-1; an empty one is wrong', async () => {
    isAccepted(await authd.plain(` ${anna} `, secret))
    isAccepted(await authd.begin('PLAIN', `\0${anna}\t\0${secret}`))
    await setCredential(authd.home, anna, 'cafe', 'caf\xe9 cr\xe8me')
    isAccepted(await authd.begin('PLAIN', `\0${anna}\0caf\xe9 cr\xe8me`))
    isAccepted(await authd.plain(anna, 'caf\xe9 cr\xe8me'))
    assert.deepEqual(await authd.plain(anna, ''), wrong)
    assert.deepEqual(await challenge(await authd.begin('LOGIN', anna)).respond(''), wrong)
  })

  it('PLAIN and LOGIN: main and app passwords; lspawn knows the ticket first', async () => {
    const step = await authd.plain('ANNA@Example.test', secret)
    isAccepted(step)
    assert.ok(step.kind === 'accepted')
    const told = authd.told.at(-1)
    assert.deepEqual(told?.kind === 'admit' && [told.account, told.ticket, told.peer.remoteIp], [
      anna,
      step.ticket,
      '192.0.2.1',
    ])
    await authd.logged(`login 192.0.2.1 submission PLAIN ${anna} -\n`)
    const name = challenge(await authd.begin('LOGIN'))
    assert.equal(name.data, 'Username:')
    const password = challenge(await name.respond(anna))
    assert.equal(password.data, 'Password:')
    isAccepted(await password.respond('app password'))
    await authd.logged(`login 192.0.2.1 submission LOGIN ${anna} phone\n`)
  })

  it('each ticket is another', async () => {
    await authd.plain(anna, secret)
    await authd.plain(anna, secret)
    const tickets = authd.told.slice(-2).map(({ ticket }) => ticket)
    assert.notEqual(tickets[0], tickets[1])
    assert.equal(tickets[0]?.length, 32)
  })

  it('SCRAM-SHA-256: each password of the account, and the server’s proof', async () => {
    isAccepted(await scram(new ScramClient(anna, secret)))
    isAccepted(await scram(new ScramClient('Anna@example.TEST', 'app password')))
    await authd.logged(`login 192.0.2.1 submission SCRAM-SHA-256 ${anna} phone\n`)
    assert.deepEqual(await scram(new ScramClient(anna, 'wrong')), wrong)
  })

  it('SCRAM-SHA-256-PLUS, where it is asked for: on its own channel alone; else who saw none may say so', async () => {
    writeFileSync(path, 'SCRAM-SHA-256-PLUS\nSCRAM-SHA-256\n')
    await offers(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])
    const bound = 'e'.repeat(32)
    const gs2 = 'p=tls-exporter,,'
    isAccepted(await scram(new ScramClient(anna, secret, gs2, bound), 'SCRAM-SHA-256-PLUS', bound))
    const other = new ScramClient(anna, secret, gs2, 'x'.repeat(32))
    assert.deepEqual(await scram(other, 'SCRAM-SHA-256-PLUS', bound), wrong)
    const unbound = await authd.begin('SCRAM-SHA-256-PLUS', new ScramClient(anna, secret, gs2, bound).first)
    assert.deepEqual(unbound, { kind: 'rejected', why: 'mechanism' })
    const downgraded = new ScramClient(anna, secret, 'y,,')
    const bindings = new Map([['tls-exporter', bound] as const])
    assert.deepEqual(await authd.begin('SCRAM-SHA-256', downgraded.first, { bindings }), wrong)
    rmSync(path)
    await offers(['SCRAM-SHA-256', 'PLAIN', 'LOGIN'])
    const second = challenge(await authd.begin('SCRAM-SHA-256', downgraded.first, { bindings }))
    const third = challenge(await second.respond(downgraded.answer(second.data).final))
    isAccepted(await third.respond(''))
  })

  it('an unknown name is offered a salt as any other, the same after a restart, and fails at the end', async () => {
    const offered = async (name: string): Promise<string | undefined> => {
      const step = challenge(await authd.begin('SCRAM-SHA-256', new ScramClient(name, 'x').first))
      step.cancel()
      return /,(s=[A-Za-z0-9+/]{22}==,i=100000)$/.exec(step.data)?.[1]
    }
    const first = [await offered('nobody@example.test'), await offered('noone@example.test'), await offered(anna)]
    assert.equal(new Set(first).size, 3)
    assert.ok(!first.includes(undefined))
    assert.deepEqual(await scram(new ScramClient('nobody@example.test', secret)), wrong)
    await authd.restart()
    const again = [await offered('nobody@example.test'), await offered('noone@example.test'), await offered(anna)]
    assert.deepEqual(again, first)
  })

  it('says the same to a wrong password, an unknown name, a disabled account and root', async () => {
    for (const [name, password, reason] of [
      [anna, 'wrong', 'wrong password'],
      ['nobody@example.test', secret, 'no such account'],
      ['off@example.test', secret, 'disabled'],
      ['root', secret, 'uid 0'],
      ['root@host.test', secret, 'uid 0'],
    ] as const) {
      const account = name === 'root' ? 'root' : name
      assert.deepEqual(await authd.plain(name, password, '198.51.100.1'), wrong)
      await authd.logged(`failed-login 198.51.100.1 submission PLAIN ${account}: ${reason}\n`)
    }
    assert.deepEqual(await scram(new ScramClient('root', secret)), wrong)
    assert.deepEqual(await scram(new ScramClient('off@example.test', secret)), wrong)
  })

  it('a name without @ is that of our host, if it has a password', async () => {
    isAccepted(await authd.plain('Post', secret), 'post@host.test')
    assert.deepEqual(await authd.plain('anna', secret, '198.51.100.2'), wrong)
  })

  it('nobody acts for another', async () => {
    const plain = (authorize: string): Promise<AuthStep> => authd.begin('PLAIN', `${authorize}\0${anna}\0${secret}`)
    isAccepted(await plain(anna.toUpperCase()))
    assert.deepEqual(await plain('post@host.test'), wrong)
    assert.deepEqual(await scram(new ScramClient(anna, secret, 'n,a=post@host.test,')), wrong)
  })

  it('what is not of the mechanism, or not offered, is told so', async () => {
    assert.deepEqual(await authd.begin('PLAIN', 'x'), { kind: 'rejected', why: 'malformed' })
    assert.deepEqual(await authd.begin('CRAM-MD5'), { kind: 'rejected', why: 'mechanism' })
    assert.deepEqual(await authd.begin('XOAUTH2', 'user=a\x01auth=Bearer x\x01\x01'), {
      kind: 'rejected',
      why: 'mechanism',
    })
  })

  it('a changed password counts at once, and the old one no more', async () => {
    isAccepted(await authd.plain(anna, secret))
    const revokedBefore = authd.revoked.length
    await setCredential(authd.home, anna, '', 'battery staple')
    isAccepted(await authd.plain(anna, 'battery staple'))
    // Its sessions end; those of others, and of an account that gets one more password, go on.
    assert.deepEqual(authd.revoked.slice(revokedBefore), [anna])
    assert.deepEqual(await authd.plain(anna, secret, '198.51.100.3'), wrong)
    await setCredential(authd.home, anna, '', secret)
    isAccepted(await authd.plain(anna, secret))
  })

  it('the same wrong password from the same peer is one guess, until passwords change', async () => {
    for (let n = 0; n < locksFrom.peer + 5; n++)
      assert.deepEqual(await authd.plain(anna, 'last year’s', '198.51.100.4'), wrong)
    await authd.logged(`PLAIN ${anna}: wrong password, as before\n`)
    await setCredential(authd.home, anna, 'old', 'last year’s')
    isAccepted(await authd.plain(anna, 'last year’s', '198.51.100.4'))
  })

  it('who has a line that cannot be read is told to come again, by any mechanism, and is not counted as guessing', async () => {
    const file = join(authd.home.auth, 'passwd')
    writeFileSync(`${file}.new`, `${readFileSync(file, 'latin1')}torn@example.test::$argon2id$v=19$m=194\n`, {
      mode: 0o600,
    })
    renameSync(`${file}.new`, file)
    const later = { kind: 'rejected', why: 'temporary' }
    for (let n = 0; n <= locksFrom.peer; n++) assert.deepEqual(await authd.plain('torn@example.test', secret), later)
    assert.deepEqual(await scram(new ScramClient('torn@example.test', secret)), later)
    await authd.logged(
      'PLAIN torn@example.test: temporary: its lines of auth/passwd cannot be read: set its password again\n',
    )
    isAccepted(await authd.plain(anna, secret))
  })

  it('lspawn unwilling, or lost in the middle: temporary, never accepted; then it works again', async () => {
    authd.lspawn = ({ ref }) => ({ kind: 'denied', ref, why: 'temporary' })
    assert.deepEqual(await authd.plain(anna, secret), { kind: 'rejected', why: 'temporary' })
    authd.lspawn = ({ ref }) => ({ kind: 'denied', ref, why: 'failed' })
    assert.deepEqual(await authd.plain(anna, secret), { kind: 'rejected', why: 'temporary' })
    authd.lspawn = () => {
      throw new Error('which closes the connection')
    }
    assert.deepEqual(await authd.plain(anna, secret), { kind: 'rejected', why: 'temporary' })
    authd.lspawn = willing
    isAccepted(await authd.plain(anna, secret))
  })

  it('a frame that breaks the contract ends its connection, and no other', async () => {
    const socket = await connectPath(socketPath(authd.home, 'authd'))
    socket.write(encodeHello({ purpose: 'auth', uid: 0 }))
    socket.write(Buffer.from([0, 0, 0, 3, 160, 1, 2]))
    await new Promise((resolve) => socket.resume().once('close', resolve))
    await authd.logged('warning: connection on authd closed')
    isAccepted(await authd.plain(anna, secret))
  })

  it('gives way: every thread has the lowest priority, those that hash, too', () => {
    const tasks = `/proc/${authd.pid}/task`
    const nice = readdirSync(tasks).map((thread) => {
      const stat = readFileSync(join(tasks, thread, 'stat'), 'latin1')
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]
    })
    assert.deepEqual([...new Set(nice)], ['19'])
  })

  it('never says a secret', () => {
    assert.doesNotMatch(authd.log, /correct horse|app password|battery staple|\$argon2|SCRAM-SHA-256\$/)
    for (const name of readdirSync(authd.home.auth))
      assert.equal(statSync(join(authd.home.auth, name)).mode & 0o077, 0, name)
  })
})

describe('authd under attack', () => {
  const authd = new AuthdProcess()
  before(async () => {
    await setCredential(authd.home, anna, '', secret)
    await authd.start()
  })
  after(() => authd.stop())

  it('guesses lock the guessers, over a restart; the owner logs in, and an administrator forgives', async () => {
    isAccepted(await authd.plain(anna, secret, '192.0.2.1'))
    const steps = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => authd.plain(anna, `guess ${n}`, `198.51.${n >> 8}.${n & 255}`)),
    )
    assert.ok(steps.every((step) => step.kind === 'rejected'))
    // On a slow machine most of them have waited too long for their hash, and say nothing of the password: a few more follow.
    let isLocked = steps.some((step) => step.kind === 'rejected' && step.why === 'locked')
    for (let n = 0; n < locksFrom.account && !isLocked; n++) {
      const step = await authd.plain(anna, `another guess ${n}`, `198.52.0.${n}`)
      isLocked = step.kind === 'rejected' && step.why === 'locked'
    }
    assert.deepEqual(await authd.plain(anna, secret, '203.0.113.1'), locked)
    isAccepted(await authd.plain(anna, secret, '192.0.2.99'))
    for (let n = 0; n < locksFrom.peer; n++) await authd.plain(`user${n}@example.test`, 'x', '203.0.113.7')
    assert.deepEqual(await authd.plain('nobody@example.test', 'x', '203.0.113.7'), locked)
    await authd.logged(
      'failed-login 203.0.113.7 submission PLAIN nobody@example.test: locked: too many failures from this address\n',
    )
    await authd.restart()
    assert.deepEqual(await authd.plain('nobody@example.test', 'x', '203.0.113.7'), locked)
    assert.deepEqual(await authd.plain(anna, secret, '203.0.113.1'), locked)
    isAccepted(await authd.plain(anna, secret, '192.0.2.99'))
    const rows = (await authd.ask({ op: 'failures' })) as { subject: string; name: string; lockedForMs: number }[]
    assert.ok(rows.some(({ name, lockedForMs }) => name === anna && lockedForMs > 0))
    assert.deepEqual(await authd.ask({ op: 'forgive', who: 'ANNA@example.test' }), [{ forgiven: true }])
    assert.deepEqual(await authd.ask({ op: 'forgive', who: '203.0.113.7' }), [{ forgiven: true }])
    isAccepted(await authd.plain(anna, secret, '203.0.113.1'))
    await assert.rejects(authd.ask({ op: 'dump' }), /authd knows failures and forgive/)
  })
})

describe('authd with control/checkpassword', () => {
  const authd = new AuthdProcess({ checkpassword: '/bin/checkpassword true\n', locals: 'host.test\nOther.test\n' })
  before(() => authd.start())
  after(() => authd.stop())

  it('names without a password of ours go to lspawn; without verifiers there is no SCRAM', async () => {
    assert.deepEqual(authd.client.mechanisms(), ['PLAIN', 'LOGIN'])
    authd.lspawn = (request) => {
      if (request.kind !== 'check') return undefined
      const { ref, name, password } = request
      if (name === 'slow') return { kind: 'denied', ref, why: 'temporary' }
      return name === 'joe' && password === 'P'
        ? { kind: 'admitted', ref, account: 'joe' }
        : { kind: 'denied', ref, why: 'failed' }
    }
    isAccepted(await authd.plain('Joe', 'P'), 'joe')
    assert.deepEqual(await authd.plain('joe', 'p'), wrong)
    assert.deepEqual(await authd.plain('slow', 'p'), { kind: 'rejected', why: 'temporary' })
    authd.lspawn = willing
    assert.deepEqual(await authd.plain('root', 'P'), wrong)
    await setDisabled(authd.home, 'jim', true)
    assert.deepEqual(await authd.plain('jim', 'P'), wrong)
  })

  it('whoever is disabled is so by every name that leads to him', async () => {
    // As one that looks at no domain does, and lspawn, which sees whose uid it becomes.
    authd.lspawn = (request) => {
      const { ref } = request
      if (request.kind !== 'check' || request.password !== 'P') return { kind: 'denied', ref, why: 'failed' }
      return { kind: 'admitted', ref, account: request.name.split('@')[0] ?? '' }
    }
    const names = ['ann', 'ann@host.test', 'ann@other.test', 'ann@whatever.test']
    for (const name of names) isAccepted(await authd.plain(name, 'P'), 'ann')
    authd.revoked.length = 0
    await setDisabled(authd.home, 'ann', true)
    for (const name of names) {
      assert.deepEqual(await authd.plain(name, 'P', '192.0.2.9'), wrong, name)
      await authd.logged(`failed-login 192.0.2.9 submission PLAIN ${name}: disabled\n`)
    }
    await authd.logged('sessions of ann end')
    assert.deepEqual(authd.revoked, ['ann', 'ann@host.test', 'ann@other.test'])
    await setDisabled(authd.home, 'ann', false)
    isAccepted(await authd.plain('ann@other.test', 'P'), 'ann')
    // No user of the machine: the check says nothing of him but the name.
    authd.lspawn = willing
    await setDisabled(authd.home, 'ben@other.test', true)
    for (const name of ['ben', 'ben@host.test']) assert.deepEqual(await authd.plain(name, 'P'), wrong, name)
    isAccepted(await authd.plain('ben@whatever.test', 'P'), 'ben@whatever.test')
    await setDisabled(authd.home, 'ben@other.test', false)
  })

  it('a first password of ours makes SCRAM offered, and is ours to check', async () => {
    await setCredential(authd.home, anna, '', secret)
    while (authd.client.mechanisms()[0] !== 'SCRAM-SHA-256') await new Promise((resolve) => setTimeout(resolve, 20))
    authd.told.length = 0
    isAccepted(await authd.plain(anna, secret))
    assert.deepEqual(
      authd.told.map(({ kind }) => kind),
      ['admit'],
    )
  })

  it('a file edited in place is read when it has settled, and a fault is named by line', async () => {
    const path = join(authd.home.auth, 'passwd')
    writeFileSync(path, `${readFileSync(path, 'latin1')}some secret words\n`)
    await authd.logged('warning: auth/passwd: line 3: ')
    assert.doesNotMatch(authd.log, /some secret/)
    isAccepted(await authd.plain(anna, secret))
  })
})
