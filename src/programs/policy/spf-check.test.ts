/** What the suite of RFC 7208 (test/conformance) does not ask: limits under malice, guess, random addresses, texts. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import type { SpfAnswer, SpfQuestion } from '../../contracts/policy.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { SpfCheck } from './spf-check.ts'

const question: SpfQuestion = {
  ip: '192.0.2.1',
  helo: 'mx.from.test',
  sender: 'a@from.test',
  bestGuess: false,
  refuseOpenPass: false,
}

function ask(dns: ZoneDns, changes: Partial<SpfQuestion> = {}, millisecondsMax?: number): Promise<SpfAnswer> {
  const limit = millisecondsMax === undefined ? {} : { millisecondsMax }
  return new SpfCheck({ dns, clock: realClock, random: realRandom, receiver: 'us.test', ...limit }).answer({
    ...question,
    ...changes,
  })
}

describe('limits', () => {
  it('ten lookups, not eleven', async () => {
    const includes = (count: number): ZoneDns => {
      const dns = new ZoneDns()
      const names = Array.from({ length: count }, (_, n) => `n${n}.test`)
      for (const name of names) dns.set(name, 'TXT v=spf1 ip4:203.0.113.9')
      return dns.set('from.test', `TXT v=spf1 ${names.map((name) => `include:${name}`).join(' ')} ip4:192.0.2.1 -all`)
    }
    assert.equal((await ask(includes(10))).result, 'pass')
    assert.equal((await ask(includes(11))).result, 'permerror')
  })
  it('a loop of includes ends, and soon', async () => {
    const dns = new ZoneDns().set('from.test', 'TXT v=spf1 include:other.test -all')
    dns.set('other.test', 'TXT v=spf1 include:from.test -all')
    assert.equal((await ask(dns)).result, 'permerror')
    assert.ok(dns.asked.length <= 12, dns.asked.join())
  })
  it('two void lookups, not three', async () => {
    const voids = (count: number): ZoneDns => {
      const terms = Array.from({ length: count }, (_, n) => `a:void${n}.test`)
      return new ZoneDns().set('from.test', `TXT v=spf1 ${terms.join(' ')} ip4:192.0.2.1 -all`)
    }
    assert.equal((await ask(voids(2))).result, 'pass')
    assert.equal((await ask(voids(3))).result, 'permerror')
  })
  it('ten exchangers of a mx term, not eleven', async () => {
    const exchangers = (count: number): ZoneDns => {
      const dns = new ZoneDns()
      const names = Array.from({ length: count }, (_, n) => `mx${n}.test`)
      for (const name of names) dns.set(name, 'A 203.0.113.9')
      const records = names.map((name, n) => `MX ${n} ${name}`)
      return dns.set('from.test', 'TXT v=spf1 mx ip4:192.0.2.1 -all', ...records)
    }
    assert.equal((await ask(exchangers(10))).result, 'pass')
    const many = exchangers(50)
    assert.equal((await ask(many)).result, 'permerror')
    assert.ok(many.asked.length <= 13, `${many.asked.length} questions`)
  })
  it('ten names of a ptr term; the eleventh is not looked at', async () => {
    const names = (count: number): ZoneDns => {
      const dns = new ZoneDns().set('from.test', 'TXT v=spf1 ptr -all')
      const others = Array.from({ length: count - 1 }, (_, n) => `n${n}.other.test`)
      for (const name of others) dns.set(name, 'A 192.0.2.1')
      dns.set('host.from.test', 'A 192.0.2.1')
      return dns.set('1.2.0.192.in-addr.arpa', ...[...others, 'host.from.test'].map((name) => `PTR ${name}`))
    }
    assert.equal((await ask(names(10))).result, 'pass')
    assert.equal((await ask(names(11))).result, 'fail')
  })
  it('time: temperror, and the asker need not wait longer', async () => {
    const dns = new ZoneDns()
    dns.txt = () => new Promise(() => undefined)
    const begun = performance.now()
    assert.equal((await ask(dns, {}, 50)).result, 'temperror')
    assert.ok(performance.now() - begun < 5_000)
  })
  it('no name over 253 bytes is asked for, however much a macro grows', async () => {
    const dns = new ZoneDns().set(
      'from.test',
      `TXT v=spf1 ${'exists:%{L}.%{S}.%{l}%{s}%{l}%{s}.from.test '.repeat(10)}-all`,
    )
    const sender = `${'%{s}.a=b+'.repeat(100)}@from.test`
    assert.match((await ask(dns, { sender })).result, /^(fail|permerror)$/)
    for (const asked of dns.asked) assert.ok(asked.length <= 'AAAA '.length + 253, asked)
  })
  it('a record that is too long is a syntax error', async () => {
    const dns = new ZoneDns().set('from.test', `TXT v=spf1 ${'ip4:203.0.113.9 '.repeat(300)}+all`)
    assert.equal((await ask(dns)).result, 'permerror')
    const other = new ZoneDns().set('from.test', `TXT ${'x'.repeat(8000)}`, 'TXT v=spf1 +all')
    assert.equal((await ask(other)).result, 'pass')
  })
})

describe('an answer', () => {
  it('has the field, the rule and the log line', async () => {
    const answer = await ask(new ZoneDns().set('from.test', 'TXT v=spf1 ip4:192.0.2.0/24 -all'))
    assert.deepEqual(answer, {
      kind: 'spf',
      result: 'pass',
      explanation: 'domain of a@from.test designates 192.0.2.1 as permitted sender',
      receivedSpf:
        'Received-SPF: pass (us.test: domain of a@from.test designates 192.0.2.1 as permitted sender) client-ip=192.0.2.1; envelope-from=a@from.test; helo=mx.from.test;',
      openToAll: false,
      guess: 'not-made',
      rule: 'TXT from.test: v=spf1 ip4:192.0.2.0/24 -all',
      logText: `qmail-spp-spf:192.0.2.1: ${answer.receivedSpf}`,
      freshMilliseconds: 0,
    })
  })
  it('tells what the domain explains, made harmless', async () => {
    const dns = new ZoneDns().set('from.test', 'TXT v=spf1 -all exp=exp.from.test')
    dns.set('exp.from.test', 'TXT %{i} is not ours, %{l}')
    const answer = await ask(dns, { sender: '"x\r\nA"@from.test' })
    assert.equal(answer.result, 'fail')
    assert.equal(answer.explanation, 'from.test explains: 192.0.2.1 is not ours, "x??A"')
    assert.doesNotMatch(answer.receivedSpf + answer.logText + answer.rule, /[^ -~]/)
  })
  it('DNS trouble is temperror', async () => {
    const dns = new ZoneDns().setName('from.test', { records: [], trouble: true })
    assert.equal((await ask(dns)).result, 'temperror')
  })
  it('an address that is none is no question', async () => {
    await assert.rejects(ask(new ZoneDns(), { ip: '192.0.2.1) evil' }))
    const mapped = await ask(new ZoneDns().set('from.test', 'TXT v=spf1 ip4:192.0.2.1 -all'), {
      ip: '::ffff:192.0.2.1',
    })
    assert.match(mapped.receivedSpf, /^Received-SPF: pass .* client-ip=192\.0\.2\.1;/)
  })
  it('an empty sender is evaluated by HELO', async () => {
    const dns = new ZoneDns().set('mx.from.test', 'TXT v=spf1 -all')
    assert.equal((await ask(dns, { sender: '' })).result, 'fail')
  })
})

describe('the best guess', () => {
  const dns = (): ZoneDns => new ZoneDns().set('from.test', 'MX 0 mail.from.test').set('mail.from.test', 'A 192.0.2.1')

  it('is made where there is no verdict, if it is wanted', async () => {
    assert.equal((await ask(dns())).guess, 'not-made')
    const answer = await ask(dns(), { bestGuess: true })
    assert.deepEqual([answer.result, answer.guess], ['none', 'pass'])
    assert.equal((await ask(dns(), { bestGuess: true, ip: '192.0.2.9' })).guess, 'fail')
    assert.equal((await ask(new ZoneDns(), { bestGuess: true, sender: 'a@[1.2.3.4]' })).guess, 'unknown')
  })
  it('is not made where there is one', async () => {
    const settled = dns().set('from.test', 'TXT v=spf1 ~all', 'MX 0 mail.from.test')
    const answer = await ask(settled, { bestGuess: true })
    assert.deepEqual([answer.result, answer.guess], ['softfail', 'not-made'])
  })
})

describe('a pass for random addresses', () => {
  it('does not count if it is asked to be looked at', async () => {
    const open = (): ZoneDns => new ZoneDns().set('from.test', 'TXT v=spf1 +all')
    assert.equal((await ask(open())).openToAll, false)
    for (const ip of ['192.0.2.1', '2001:db8::1']) {
      const answer = await ask(open(), { ip, refuseOpenPass: true, bestGuess: true })
      assert.deepEqual([answer.openToAll, answer.receivedSpf, answer.guess], [true, '', 'fail'])
      assert.match(answer.logText, /pass ignored, from\.test permits any address$/)
    }
  })
  it('counts where they do not pass', async () => {
    const dns = new ZoneDns().set('from.test', 'TXT v=spf1 ip4:192.0.2.1 -all')
    const answer = await ask(dns, { refuseOpenPass: true })
    assert.deepEqual([answer.result, answer.openToAll], ['pass', false])
  })
})

describe('what was found for a domain and an address', () => {
  const later = 60_000
  function fresh(record: string): { dns: ZoneDns; check: SpfCheck } {
    const dns = new ZoneDns().set('from.test', `TXT ${record}`).set('mx.from.test', 'TXT v=spf1 -all')
    dns.freshUntil = realClock.monotonic() + later
    return { dns, check: new SpfCheck({ dns, clock: realClock, random: realRandom, receiver: 'us.test' }) }
  }

  it('serves its other senders while DNS answers are fresh, and they are told for how long', async () => {
    const { dns, check } = fresh('v=spf1 ip4:192.0.2.1 -all')
    const first = await check.answer(question)
    const second = await check.answer({ ...question, sender: 'b@from.test' })
    assert.deepEqual([first.result, second.result], ['pass', 'pass'])
    assert.match(second.receivedSpf, /envelope-from=b@from\.test;/)
    assert.equal(dns.asked.length, 1)
    assert.ok(second.freshMilliseconds > 0 && second.freshMilliseconds <= later)
  })
  it('is found anew for another address, for HELO, and when answers are stale', async () => {
    const { dns, check } = fresh('v=spf1 ip4:192.0.2.1 -all')
    await check.answer(question)
    assert.equal((await check.answer({ ...question, ip: '192.0.2.9' })).result, 'fail')
    assert.equal((await check.answer({ ...question, sender: '' })).result, 'fail')
    assert.equal(dns.asked.length, 3)
    dns.freshUntil = realClock.monotonic()
    await check.answer({ ...question, ip: '192.0.2.8' })
    await check.answer({ ...question, ip: '192.0.2.8' })
    assert.equal(dns.asked.length, 5)
  })
  it('serves nobody else if a macro may tell senders apart', async () => {
    const { dns, check } = fresh('v=spf1 exists:%{l}.from.test -all')
    dns.set('a.from.test', 'A 127.0.0.1')
    assert.equal((await check.answer(question)).result, 'pass')
    const other = await check.answer({ ...question, sender: 'b@from.test' })
    assert.deepEqual([other.result, other.freshMilliseconds], ['fail', 0])
  })
  it('is not kept when it was trouble', async () => {
    const { dns, check } = fresh('v=spf1 a:other.test -all')
    dns.setName('other.test', { records: [], trouble: true })
    assert.equal((await check.answer(question)).freshMilliseconds, 0)
    dns.set('other.test', 'A 192.0.2.1')
    assert.equal((await check.answer(question)).result, 'pass')
  })
  it('whether it is open to all is found once', async () => {
    const { dns, check } = fresh('v=spf1 exists:a.from.test -all')
    dns.set('a.from.test', 'A 127.0.0.1')
    for (const sender of ['a@from.test', 'b@from.test'])
      assert.equal((await check.answer({ ...question, sender, refuseOpenPass: true })).openToAll, true)
    const asked = dns.asked.length
    await check.answer({ ...question, refuseOpenPass: true })
    assert.equal(dns.asked.length, asked)
  })
})
