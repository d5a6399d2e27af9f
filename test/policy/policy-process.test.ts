/** The real policy process on a home of its own, asked by the real client, with a name server on loopback. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Answered, PolicyClient } from '../../src/clients/policy/policy-client.ts'
import type { GreylistAnswer, GreylistQuestion } from '../../src/contracts/policy.ts'
import { encodeToProgram } from '../../src/contracts/supervise.ts'
import { type Home, homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { realClock, within } from '../../src/system/clock.ts'
import { connectPath, FrameConnection } from '../../src/system/frame-connection.ts'
import { programArguments } from '#test/kit/programs.ts'
import { DnsServer } from '../kit/dns-server.ts'

const waitMillisecondsMax = 20_000

class PolicyProcess {
  log = ''
  private readonly home: Home
  private readonly bound: net.BoundSocket
  private child: ChildProcess | undefined
  private supervisor: FrameConnection | undefined

  constructor(home: Home) {
    this.home = home
    this.bound = new net.BoundSocket({ path: socketPath(home, 'policy') } as net.BoundSocketOptions)
  }

  async start(): Promise<void> {
    const args = [...programArguments('policy'), '--home', this.home.path, '--listen', 'policy']
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', this.bound.fd()] })
    this.child = child
    child.stderr?.on('data', (text: Buffer) => {
      this.log += text.toString('latin1')
    })
    const ready = new Promise<void>((resolve, reject) => {
      this.supervisor = new FrameConnection(child.stdio[3] as net.Socket, {
        onFrame: () => resolve(),
        onClose: () => undefined,
      })
      child.once('exit', () => reject(new Error(this.log)))
    })
    await within(realClock, waitMillisecondsMax, 'ready', ready)
  }

  async stop(): Promise<number | null> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null
    this.supervisor?.send(encodeToProgram({ kind: 'stop' }))
    const [code] = (await once(child, 'exit')) as [number | null]
    return code
  }

  async kill(): Promise<void> {
    const { child } = this
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  close(): void {
    this.bound.close()
  }
}

describe('the policy process', () => {
  let home: Home
  let dns: DnsServer
  let policy: PolicyProcess
  let client: PolicyClient
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-policy-')))
    for (const path of [home.control, home.run, home.greylist]) mkdirSync(path)
    dns = await DnsServer.listen()
    writeFileSync(join(home.control, 'me'), 'us.test\n')
    writeFileSync(join(home.control, 'dnsservers'), `${dns.server}\n`)
    policy = new PolicyProcess(home)
    client = new PolicyClient(() => connectPath(socketPath(home, 'policy')), realClock)
    await policy.start()
  })
  afterEach(async () => {
    client.close()
    await policy.kill()
    policy.close()
    dns.close()
    rmSync(home.path, { recursive: true, force: true })
  })

  const triple: GreylistQuestion = {
    ip: '192.0.2.1',
    sender: 's@from.test',
    recipient: 'r@here.test',
    minRejectSeconds: 0,
    maxWaitSeconds: 3600,
    acceptGoodSeconds: 3600,
    onlyLook: false,
  }
  const stateOf = (answered: Answered<GreylistAnswer>): string =>
    answered.answered ? answered.answer.state : answered.why
  /** Asks until the process answers: after a restart the client tries again after its back-off. */
  const greylist = async (changes: Partial<GreylistQuestion> = {}): Promise<Answered<GreylistAnswer>> => {
    const until = realClock.monotonic() + waitMillisecondsMax
    for (;;) {
      const answered = await client.greylist({ ...triple, ...changes })
      if (answered.answered || realClock.monotonic() > until) return answered
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  it('SPF over the wire: long records, the field with our name', async () => {
    const many = Array.from({ length: 40 }, (_, n) => `ip4:198.51.100.${n}`).join(' ')
    dns.set('from.test', `TXT v=spf1 ${many} a:out.from.test -all`).set('out.from.test', 'A 192.0.2.1')
    const question = { ip: '192.0.2.1', helo: 'h.test', sender: 'a@from.test', bestGuess: false, refuseOpenPass: false }
    const passed = await client.spf(question)
    assert.ok(passed.answered)
    assert.equal(
      passed.answer.receivedSpf,
      'Received-SPF: pass (us.test: domain of a@from.test designates 192.0.2.1 as permitted sender) client-ip=192.0.2.1; envelope-from=a@from.test; helo=h.test;',
    )
    const failed = await client.spf({ ...question, ip: '192.0.2.2' })
    assert.equal(failed.answered && failed.answer.result, 'fail')
    dns.setFate('broken.test', 'SERVFAIL')
    const broken = await client.spf({ ...question, sender: 'a@broken.test' })
    assert.equal(broken.answered && broken.answer.result, 'temperror')
  })

  it('PTR over the wire', async () => {
    dns.set('from.test', 'TXT v=spf1 ptr -all').set('h.from.test', 'A 192.0.2.1')
    dns.set('1.2.0.192.in-addr.arpa', 'PTR h.from.test')
    const question = { ip: '192.0.2.1', helo: 'h', sender: 'a@from.test', bestGuess: false, refuseOpenPass: false }
    const passed = await client.spf(question)
    assert.equal(passed.answered && passed.answer.result, 'pass')
  })

  it('DNS lists over the wire; a list that refuses us blocks nobody and is reported once', async () => {
    dns.set('9.2.0.192.zen.test', 'A 127.0.0.2', 'TXT see zen.test')
    dns
      .set('1.2.0.192.zen.test', 'A 127.255.255.254', 'TXT Error: open resolver')
      .setFate('1.2.0.192.down.test', 'SERVFAIL')
    const lists = ['down.test', '-zen.test']
    const listed = await client.dnsbl({ ip: '192.0.2.9', lists })
    assert.ok(listed.answered)
    assert.deepEqual([listed.answer.decision, listed.answer.code, listed.answer.text], ['listed', 553, 'see zen.test'])
    for (let n = 0; n < 3; n++) {
      const refused = await client.dnsbl({ ip: '192.0.2.1', lists })
      assert.equal(refused.answered && refused.answer.decision, 'clear')
    }
    await policy.stop()
    assert.equal(policy.log.match(/alert: DNS list zen\.test refuses to answer us/g)?.length, 1, policy.log)
    assert.equal(dns.questions.filter((question) => question.endsWith('TXT')).length, 1)
  })

  it('SPF stands behind the records of a hundred other things', async () => {
    const others = Array.from({ length: 120 }, (_, n) => `TXT some-site-verification=${n}`)
    dns.set('many.test', ...others, 'TXT v=spf1 ip4:192.0.2.1 -all')
    const question = {
      ip: '192.0.2.1',
      helo: 'many.test',
      sender: 'a@many.test',
      bestGuess: false,
      refuseOpenPass: false,
    }
    const answered = await client.spf(question)
    assert.equal(answered.answered && answered.answer.result, 'pass')
  })

  it('greylisting: new, young, known; and still known after the process was killed', async () => {
    assert.equal(stateOf(await greylist({ minRejectSeconds: 300 })), 'new')
    assert.equal(stateOf(await greylist({ minRejectSeconds: 300 })), 'young')
    assert.equal(stateOf(await greylist()), 'known')
    assert.equal(stateOf(await greylist({ ip: triple.ip.replace(/\d+$/, '254') })), 'known', 'another of its pool')
    await policy.kill()
    await policy.start()
    assert.equal(stateOf(await greylist({ minRejectSeconds: 300 })), 'known')
    assert.equal(stateOf(await greylist({ minRejectSeconds: 300, recipient: 'other@here.test' })), 'new')
  })

  it('an empty sender: refusal at DATA, and its triple is forgotten once accepted', async () => {
    const bounce = { sender: '' }
    const first = await greylist({ ...bounce, minRejectSeconds: 300 })
    assert.ok(first.answered)
    assert.deepEqual([first.answer.state, first.answer.refuseAtData], ['new', true])
    assert.equal(first.answer.logText, 'Rejecting new triple (192.0.2.1,,r@here.test)')
    assert.equal(stateOf(await greylist(bounce)), 'known')
    assert.equal(stateOf(await greylist(bounce)), 'new')
  })

  it('a damaged store is set aside, told, and begun afresh', async () => {
    const path = join(home.greylist, 'greylist.db')
    writeFileSync(path, 'damaged beyond repair '.repeat(500))
    assert.equal(stateOf(await greylist()), 'new')
    assert.equal(stateOf(await greylist()), 'known')
    assert.match(readFileSync(`${path}.damaged`, 'latin1'), /^damaged beyond repair/)
    await policy.stop()
    assert.match(policy.log, /alert: greylist\.db: file is not a database; set aside as .*all triples are new again/)
  })

  it('a store that cannot be used: no answer, and a reason', async () => {
    rmSync(home.greylist, { recursive: true })
    writeFileSync(home.greylist, 'not a directory')
    const answered = await client.greylist(triple)
    assert.match(answered.answered ? '' : answered.why, /^greylist: greylist\.db: /)
  })

  it('serves with a control/dnsservers that is none, and says so', async () => {
    await policy.kill()
    writeFileSync(join(home.control, 'dnsservers'), 'no server\n')
    await policy.start()
    assert.equal(stateOf(await greylist()), 'new')
    await policy.stop()
    assert.match(policy.log, /alert: control\/dnsservers: .*the system's name servers are asked instead/)
  })

  it('without a question it opens neither a store nor the network, and stops when asked', async () => {
    assert.equal(await policy.stop(), 0)
    assert.equal(existsSync(join(home.greylist, 'greylist.db')), false)
    assert.deepEqual(dns.questions, [])
  })

  it('a question that is none costs its connection only', async () => {
    const closed = Promise.withResolvers<void>()
    const hostile = await connectPath(socketPath(home, 'policy'))
    hostile.on('close', () => closed.resolve())
    hostile.on('error', () => undefined)
    hostile.resume().write(Buffer.from([0, 0, 0, 5, 1, 255, 255, 255, 255]))
    await within(realClock, waitMillisecondsMax, 'closed', closed.promise)
    const odd = await client.dnsbl({ ip: 'no address', lists: ['zen.test'] })
    assert.match(odd.answered ? '' : odd.why, /^dnsbl: /)
    assert.equal(stateOf(await greylist()), 'new')
  })
})
