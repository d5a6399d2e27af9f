/** Nobody sends in another's name; everybody may send in his own, in all its forms. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { compileSenderRules } from '../../src/protocols/submission/sender-rules.ts'
import { type SubmissionClient, SubmissionRig } from '../kit/submission.ts'
import { plainFailure } from '../../src/base/outcome.ts'

const anna = 'anna@lab.example'
const bob = 'bob@lab.example'

describe('two accounts of one uid', () => {
  const rig = new SubmissionRig()
  before(() => {
    rig.control('senders', `${bob}:team@lab.example, @list.example\nAnna@lab.example:outside@far.example`)
    return rig.start()
  })
  after(() => rig.stop())

  async function mail(account: string, sender: string): Promise<string> {
    const client = await rig.login({ account })
    const reply = await client.say(`MAIL FROM:<${sender}>\r\n`)
    client.socket.destroy()
    return reply.slice(0, 3)
  }

  async function submitted(account: string, sender: string, header: string): Promise<string> {
    const client = await rig.login({ account })
    rig.enqueuer.taken.length = 0
    const reply = await client.submit(`${header}\r\n\r\nbody`, sender)
    client.socket.destroy()
    const from = /^From:.*(?:\n[ \t].*)*/im.exec(rig.enqueuer.taken[0]?.content ?? '')?.[0] ?? ''
    return `${reply.slice(0, 3)} ${from}`.trim()
  }

  it('send as themselves, with extensions, tags and aliases', async () => {
    for (const own of [
      anna,
      'ANNA@Lab.Example',
      'anna-news@lab.example',
      'anna+tag@lab.example',
      'postmaster@lab.example',
    ])
      assert.equal(await mail(anna, own), '250', own)
    assert.equal(await mail(bob, bob), '250')
    assert.equal(await mail('joe', 'joe@host.example'), '250')
    assert.equal(await mail('joe', 'joe'), '250', 'completed')
  })

  it('cannot send as each other, nor as anybody else', async () => {
    const others = [bob, 'bob-x@lab.example', 'joe@host.example', 'anna@far.example', 'nobody@lab.example', 'anna']
    for (const other of others) assert.equal(await mail(anna, other), '553', other)
    assert.equal(await mail(bob, anna), '553')
    assert.equal(await mail(bob, 'postmaster@lab.example'), '553')
    assert.equal(await mail(anna, 'anna%lab.example@far.example'), '553')
    assert.equal(await mail(anna, '"bob@lab.example"@lab.example'), '553')
  })

  it('hear at once of an address here that nobody has', async () => {
    const client = await rig.login()
    await client.say(`MAIL FROM:<${anna}>\r\n`)
    const said = async (recipient: string): Promise<string> =>
      (await client.say(`RCPT TO:<${recipient}>\r\n`)).slice(0, 9).trimEnd()
    // Before there is an alias directory nobody can tell.
    assert.equal(await said('mary@host.example'), '250 2.1.5')
    mkdirSync(rig.home.alias, { mode: 0o755 })
    writeFileSync(join(rig.home.alias, '.qmail-list'), '&x@far.example\n')
    const absent = 'sorry, no mailbox here by that name. (#5.1.1)'
    for (const recipient of ['mary@host.example', 'nobody@lab.example', 'anna-none@lab.example', 'mary']) {
      const reply = await client.say(`RCPT TO:<${recipient}>\r\n`)
      assert.equal(reply, `553 5.1.1 ${absent}\r\n`, recipient)
    }
    for (const recipient of [bob, 'list@host.example', 'mary@far.example', 'postmaster@far.example', 'joe'])
      assert.equal(await said(recipient), '250 2.1.5', recipient)
    assert.match(rig.log.join('\n'), /submission anna@lab\.example: no mailbox mary@host\.example/)
    client.socket.destroy()
  })

  it('write no sender that only this host writes', async () => {
    for (const sender of [`${anna}-@[]`, '#@[]', 'anna@[]']) assert.equal(await mail(anna, sender), '553', sender)
  })

  it('hear which address it was', async () => {
    const client = await rig.login()
    const said = await client.say('MAIL FROM:<"b \x7f"@lab.example>\r\n')
    assert.equal(said, '501 5.5.2 control character in command (#5.5.2)\r\n')
    assert.equal(
      await client.say('MAIL FROM:<"b\xe9 b"@lab.example>\r\n'),
      '553 5.7.1 sorry, you may not send as b__b@lab.example (#5.7.1)\r\n',
    )
    client.socket.destroy()
  })

  it('cannot be said to have written by another’s name', async () => {
    const foreign = [
      `From: ${bob}`,
      `From: Bob <${bob}>, Anna <${anna}>`,
      `From: ${anna}\r\nFrom: ${bob}`,
      `from : ${bob}`,
      `From:\r\n ${bob}`,
      `From: ${anna}\r\nSender: ${bob}`,
      `From: ${anna}\r\nResent-From: ${bob}`,
      `From: ${anna}\r\nResent-Sender: ${bob}`,
      `From: group: ${bob};`,
      `From: <@lab.example:${bob}>`,
      `From: "bob"@lab.example`,
      `From: bob`,
      `From: boss@far.example Anna <${anna}>`,
      `From: "${anna}"@far.example`,
      `From: (x) ${bob} (${anna})`,
      `From: ${anna}, "b" <${bob}>`,
      `From: ${bob} <${anna}>`,
      `From: ${bob} <>`,
      `From: =?utf-8?Q?bob=40lab.example=2C?= <${anna}>`,
      `From: =?utf-8?Q?${bob},?= <${anna}>`,
      `From: "Anna <${anna}>, Bob <${bob}>`,
      `From: "a\\" <${anna}> "b" <${bob}>`,
      `From: (a \\) ${bob}, (b)) <${anna}>`,
      `From: "anna-, ${bob}, "@lab.example`,
      `From: ${anna}\r\nFrom\xa0: ${bob}`,
      `From: ${anna}\r\nSender: "B <${bob}>`,
      `From abc Mon Sep 17 00:00:00 2001\r\nFrom: ${bob}`,
      `\r\nFrom: ${bob}`,
      `\xef\xbb\xbfFrom: ${bob}`,
    ]
    for (const header of foreign) assert.equal(await submitted(anna, anna, header), '554', header)
    assert.equal(await submitted(anna, anna, `From: ${'x@far.example,'.repeat(500)}`), '554')
  })

  it('may be written about in names and comments', async () => {
    assert.equal(await submitted(anna, anna, `From: "${bob}" <${anna}>`), `250 From: "${bob}" <${anna}>`)
    assert.equal(
      await submitted(anna, anna, `From: Anna\r\n (${bob}) <anna+x@lab.example>`),
      `250 From: Anna\n (${bob}) <anna+x@lab.example>`,
    )
    for (const from of [
      `=?utf-8?Q?Doe,_Anna?= <${anna}>`,
      `"Anna <${anna}>`,
      `[Org]  Anna (via Docs)\n\t<${anna}>`,
      `\x1b$B@DLZ\x1b(B <${anna}>`,
    ])
      assert.equal(await submitted(anna, anna, `From: ${from.replaceAll('\n', '\r\n')}`), `250 From: ${from}`)
    assert.equal(await submitted(anna, anna, 'From: "Anna" <>'), `250 From: "Anna" <${anna}>`)
    assert.equal(await submitted(anna, anna, `From: ${anna}\r\nSender: @dom`), `250 From: ${anna}`)
    assert.equal(await submitted(anna, anna, 'Subject: none'), `250 From: ${anna}`)
  })

  it('send without a sender what they may send at all', async () => {
    assert.equal(await submitted(anna, '', `From: ${anna}`), `250 From: ${anna}`)
    assert.equal(await submitted(anna, '', 'Subject: x'), `250 From: ${anna}`)
    assert.equal(await submitted(anna, '', `From: ${bob}`), '554')
  })

  it('may send as whom control/senders lists', async () => {
    for (const listed of ['team@lab.example', 'Any.One@LIST.example'])
      assert.equal(await mail(bob, listed), '250', listed)
    assert.equal(await mail(anna, 'team@lab.example'), '553')
    assert.equal(await mail(anna, 'outside@far.example'), '250')
    assert.equal(await mail(bob, 'x@sub.list.example'), '553')
    assert.equal(
      await submitted(bob, bob, 'From: The list <owner@list.example>'),
      '250 From: The list <owner@list.example>',
    )
  })
})

describe('when nobody can tell whose an address is', () => {
  const rig = new SubmissionRig()
  before(() =>
    rig.start({
      users: { lookup: () => Promise.resolve({ kind: 'failed', failure: plainFailure(4, '3.0', ''), reason: 'x' }) },
    }),
  )
  after(() => rig.stop())

  it('the sender is asked to come back', async () => {
    const client = await rig.login()
    assert.match(await client.say(`MAIL FROM:<${anna}>\r\n`), /^451 4\.3\.0 /)
    assert.match(await client.submit(`From: ${anna}\r\n`, ''), /^451 4\.3\.0 /)
    await client.end()
  })
})

describe('the person’s own rules', () => {
  const rig = new SubmissionRig()
  const rules = (name: string): string => join(rig.homeOf(name), '.ofmipd', 'rules.cdb')
  before(async () => {
    await rig.start()
    for (const name of ['anna', 'bob', 'joe']) mkdirSync(join(rig.homeOf(name), '.ofmipd'), { recursive: true })
    const text = `anna@laptop.host.example:Anna (home):anna+home@lab.example:\n${anna}:Bob:${bob}:\n`
    writeFileSync(rules('anna'), compileSenderRules(text).cdb)
    writeFileSync(rules('bob'), 'no cdb')
    chmodSync(rules('bob'), 0o600)
  })
  after(() => rig.stop())

  async function taken(client: SubmissionClient, header: string, sender: string): Promise<string> {
    rig.enqueuer.taken.length = 0
    const reply = await client.submit(`${header}\r\n`, sender)
    const message = rig.enqueuer.taken[0]
    return `${reply.slice(0, 3)} ${message?.envelope.sender ?? ''} ${/^From: .*/m.exec(message?.content ?? '')?.[0] ?? ''}`
  }

  it('replace sender and author, whatever the message said', async () => {
    const client = await rig.login()
    assert.equal(
      await taken(client, `From: ${bob}`, 'anna@laptop'),
      '250 anna+home@lab.example From: "Anna (home)" <anna+home@lab.example>',
    )
    assert.equal(await taken(client, '', 'anna-x@lab.example'), '250 anna-x@lab.example From: anna-x@lab.example')
    assert.match(await client.say(`MAIL FROM:<${anna}>\r\n`), /^553 /, 'a rule gives nobody rights')
    await client.end()
  })

  it('that cannot be read defer the mail, and the log says so', async () => {
    const client = await rig.login({ account: bob })
    assert.equal(await client.say(`MAIL FROM:<${bob}>\r\n`), '451 4.3.0 unable to read your rules.cdb (#4.3.0)\r\n')
    assert.match(rig.log.join('\n'), /^warning: [^\n]*bob\/\.ofmipd\/rules\.cdb: cdb of 6 bytes/m)
    await client.end()
  })

  it('may be absent', async () => {
    const client = await rig.login({ account: 'joe' })
    assert.equal(await taken(client, '', 'joe'), '250 joe@host.example From: joe@host.example')
    await client.end()
  })
})
