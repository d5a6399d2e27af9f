import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, it } from 'node:test'
import { bodyDigest, parted, type Signer, signerOf } from '#test/kit/dkim-message.ts'
import { sharedJson, sharedPath, skipWithout } from '#test/kit/shared.ts'
import { FakeClock } from '#test/kit/smtpd.ts'
import { ZoneDns } from '#test/kit/zone-dns.ts'
import type { AuthAnswer } from '../../contracts/policy.ts'
import type { AuthQuestion } from '../../contracts/policy-auth.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { AuthCheck } from './auth-check.ts'
import { SpfCheck } from './spf-check.ts'

const client = '192.0.2.7'

async function evaluated(
  dns: ZoneDns,
  message: string,
  question: Partial<AuthQuestion> = {},
  clock = realClock,
): Promise<AuthAnswer> {
  const { header, body } = parted(message)
  const spf = new SpfCheck({ dns, clock, random: realRandom, receiver: 'us.test' })
  const bodies = { simple: bodyDigest('simple', [body]), relaxed: bodyDigest('relaxed', [body]) }
  const base = { ip: client, helo: 'mx.client.test', sender: 'a@client.test', refuseOpenPass: false, explain: true }
  return await new AuthCheck({ dns, clock, spf }).answer({ ...base, header, bodies, ...question })
}

describe('whether a message is of whom it says', () => {
  let bank: Signer
  let evil: Signer
  before(async () => {
    bank = await signerOf('bank.test')
    evil = await signerOf('evil.test', 'rsa')
  })
  const zone = (): ZoneDns =>
    new ZoneDns()
      .set('_dmarc.bank.test', 'TXT v=DMARC1; p=reject')
      .set(bank.name, `TXT ${bank.record}`)
      .set(evil.name, `TXT ${evil.record}`)
      .set('evil.test', 'TXT v=spf1 ip4:192.0.2.7 -all')
      .set('bank.test', 'TXT v=spf1 -all')
  const letter = 'From: Teller <t@bank.test>\nSubject: x\n\nhello\n'
  const asEvil = { sender: 'x@evil.test', helo: 'mx.evil.test' }

  it('says pass, and by what', async () => {
    const answer = await evaluated(zone(), bank.sign(letter), asEvil)
    assert.equal(answer.logText, 'spf=pass dkim=pass(bank.test/s1) dmarc=pass policy=reject from=bank.test')
    assert.equal(answer.signatures[0]?.mark.length, 8)
  })

  it('says fail of a forgery that its forger has signed, and SPF permits', async () => {
    const answer = await evaluated(zone(), evil.sign(letter), asEvil)
    assert.equal(answer.logText, 'spf=pass dkim=pass(evil.test/s1) dmarc=fail policy=reject from=bank.test')
    assert.ok(answer.thoughts.includes('dmarc: dkim passes for evil.test, which is not of the organization bank.test'))
  })

  it('3: says fail of what was changed on its way, by a field that was signed as absent too', async () => {
    for (const added of ['Subject: y', 'To: x@y.test', 'Date: now', 'Content-Type: text/html'])
      assert.equal((await evaluated(zone(), `${added}\n${bank.sign(letter)}`)).signatures[0]?.result, 'fail', added)
    assert.equal((await evaluated(zone(), `List-Id: <x.test>\n${bank.sign(letter)}`)).signatures[0]?.result, 'pass')
  })

  it('27, 28, 25: knows no author where there are several, however well one of them signed', async () => {
    const second = bank.sign(letter)
    for (const message of [
      `From: ceo@evil.test\n${second}`,
      `not a field\nFrom: ceo@evil.test\n${second}`,
      bank.sign(letter.replace('<t@bank.test>', '<t@bank.test>, b@evil.test')),
    ]) {
      const answer = await evaluated(zone(), message)
      assert.deepEqual([answer.dmarc, answer.author, answer.policy], ['permerror', '', undefined], message)
      assert.notEqual(answer.whyNoAuthor, '')
    }
    const named = await evaluated(zone(), 'From: "ceo@bank.test" <x@evil.test>\n\n', asEvil)
    assert.deepEqual([named.author, named.dmarc], ['evil.test', 'none'])
  })

  it('22: says temperror where a key cannot be asked for, and so of the author', async () => {
    const dns = zone().setName(bank.name, { records: [], trouble: true })
    const answer = await evaluated(dns, bank.sign(letter), asEvil)
    assert.deepEqual([answer.signatures[0]?.result, answer.dmarc], ['temperror', 'temperror'])
  })

  it('22: waits no longer than its time for a name server that does not answer', async () => {
    const clock = new FakeClock()
    const dns = zone()
    dns.txt = (name) => (name === bank.name ? new Promise(() => undefined) : ZoneDns.prototype.txt.call(dns, name))
    const answer = evaluated(dns, bank.sign(letter), { ip: '' }, clock)
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    clock.advance(18_000)
    assert.equal((await answer).signatures[0]?.result, 'temperror')
  })

  it('33: says temperror where the policy cannot be asked for', async () => {
    const dns = zone().setName('_dmarc.bank.test', { records: [], trouble: true })
    assert.equal((await evaluated(dns, letter, asEvil)).dmarc, 'temperror')
  })

  it('34: takes HELO for a bounce’s sender, and for no other', async () => {
    const dns = zone().set('mx.bank.test', 'TXT v=spf1 ip4:192.0.2.7 -all')
    const bounce = await evaluated(dns, letter, { sender: '', helo: 'mx.bank.test' })
    assert.deepEqual([bounce.spf, bounce.dmarc], ['pass', 'pass'])
    const other = await evaluated(dns, letter, { sender: 'x@bank.test', helo: 'mx.bank.test' })
    assert.deepEqual([other.spf, other.dmarc], ['fail', 'fail'])
  })

  it('does not count a pass that is open to all, where that is asked', async () => {
    const dns = zone().set('bank.test', 'TXT v=spf1 +all')
    const question = { sender: 'x@bank.test', refuseOpenPass: true }
    const answer = await evaluated(dns, letter, question)
    assert.deepEqual([answer.spf, answer.dmarc], ['policy', 'fail'])
    assert.equal((await evaluated(dns, letter, { ...question, refuseOpenPass: false })).dmarc, 'pass')
  })

  it('knows a list by its name and its own signature', async () => {
    const listed = `List-Id: News <news.evil.test>\n${letter}`
    assert.equal((await evaluated(zone(), evil.sign(listed))).isFromList, true)
    assert.equal((await evaluated(zone(), evil.sign(letter))).isFromList, false)
    assert.equal((await evaluated(zone(), `List-Id: <x.other.test>\n${evil.sign(letter)}`)).isFromList, false)
    assert.equal((await evaluated(zone(), `List-Post: <mailto:l@evil.test>\n${evil.sign(letter)}`)).isFromList, true)
  })

  it('20: looks at the first of a thousand signatures, and says how many more there were', async () => {
    const [signature = ''] = bank.sign(letter).split('From:')
    const answer = await evaluated(zone(), signature.repeat(200) + letter)
    assert.deepEqual([answer.signatures.length, answer.skipped], [8, 192])
  })
})

describe('35: what is written below a signed text', { skip: skipWithout('suites', 'dkim-edge') }, () => {
  it('is not of its author', async () => {
    interface Edge {
      readonly name: string
      readonly dns: Readonly<Record<string, readonly string[]>>
    }
    const cases = sharedJson<readonly Edge[]>('suites', 'dkim-edge', 'cases.json') ?? []
    const edge = cases.find(({ name }) => name === 'l-append')
    const dns = new ZoneDns()
    for (const [name, texts] of Object.entries(edge?.dns ?? {})) dns.set(name, ...texts.map((text) => `TXT ${text}`))
    const message = readFileSync(sharedPath('suites', 'dkim-edge', 'l-append.eml') ?? '', 'latin1')
    const author = /^From:.*@([a-z.]+)/m.exec(message)?.[1] ?? ''
    dns.set(`_dmarc.${author}`, 'TXT v=DMARC1; p=reject')
    const answer = await evaluated(dns, message, { ip: '' })
    assert.deepEqual([answer.signatures[0]?.result, answer.dmarc, answer.policy], ['policy', 'fail', 'reject'])
  })
})
