/** The dialogue after the login: what ofmipd said, behind the rules that pkgsrc ships. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { permanent, transient } from '../../src/base/outcome.ts'
import { SubmissionRig } from '../kit/submission.ts'

describe('a submission session', () => {
  const rig = new SubmissionRig()
  before(() => {
    rig.control('databytes', '400000')
    return rig.start()
  })
  after(() => rig.stop())

  it('begins with the end of the login', async () => {
    assert.equal((await rig.login()).output, '235 2.7.0 ok, go ahead (#2.0.0)\r\n')
    assert.equal((await rig.login({ extended: false })).output, '235 ok, go ahead (#2.0.0)\r\n')
  })

  it('knows these commands', async () => {
    const client = await rig.login({ extended: false })
    assert.equal(await client.say('HELO x\r\n'), '250 host.example\r\n')
    assert.equal(await client.say('noop\r\n'), '250 ok\r\n')
    assert.equal(await client.say('RSET\r\n'), '250 flushed\r\n')
    assert.equal(await client.say('VRFY joe\r\n'), "252 send some mail, i'll try my best\r\n")
    assert.match(await client.say('HELP\r\n'), /^214 /)
    const ehlo = '250-host.example\r\n250-PIPELINING\r\n250-SIZE 400000\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n'
    assert.equal(await client.say('EHLO x\r\n'), ehlo)
    const unimplemented = '502 5.5.1 unimplemented (#5.5.1)\r\n'
    const authenticated = '503 5.5.1 you are authenticated already (#5.5.1)\r\n'
    assert.equal(await client.say('AUTH PLAIN AAAA\r\n'), authenticated)
    assert.equal(await client.say('STARTTLS\r\n'), unimplemented)
    assert.equal(await client.say('EXPN x\r\n'), unimplemented)
    assert.equal(await client.say('RCPT TO:<x@y>\r\n'), '503 5.5.1 MAIL first (#5.5.1)\r\n')
    assert.equal(await client.say('MAIL FROM:<anna@lab.example>\r\n'), '250 2.1.0 ok\r\n')
    assert.equal(await client.say('AUTH PLAIN AAAA\r\n'), authenticated)
    assert.equal(await client.say('DATA\r\n'), '503 5.5.1 RCPT first (#5.5.1)\r\n')
    assert.equal(await client.say('RCPT TO:<>\r\n'), '555 5.5.4 syntax error (#5.5.4)\r\n')
    assert.equal(await client.say(`RCPT TO:<${'x'.repeat(890)}@y.example>\r\n`), '555 5.5.4 syntax error (#5.5.4)\r\n')
    assert.equal(await client.say('QUIT\r\n'), '221 2.0.0 host.example\r\n')
    await client.untilClosed()
  })

  it('takes a message, cleaned, for the completed envelope', async () => {
    const client = await rig.login()
    rig.enqueuer.taken.length = 0
    const body = 'caf\xe9\r\n..dot\r\n'
    const reply = await client.submit(`Subject: x\r\nTo: mary\r\n\r\n${body}`, 'anna@lab.example.', ['mary', 'x@y+'])
    assert.match(reply, /^250 2\.0\.0 ok \d+ qp 4711\r\n$/)
    const [taken] = rig.enqueuer.taken
    assert.deepEqual(taken?.envelope, {
      sender: 'anna@lab.example',
      recipients: ['mary@host.example', 'x@y.host.example'],
      originals: new Map([
        ['mary@host.example', 'mary'],
        ['x@y.host.example', 'x@y+'],
      ]),
    })
    const [received, date, id, ...rest] = taken?.content.split('\n') ?? []
    assert.match(
      received ?? '',
      /^Received: \(ucspitls acceptutils authup anna@lab\.example TLSv1\.3 TLS_AES_256_GCM_SHA384\); \d+ \w+ \d+ [\d:]+ -0000$/,
    )
    assert.match(date ?? '', /^Date: \d+ \w+ \d+ [\d:]+ -0000$/)
    assert.match(id ?? '', /^Message-ID: <\d{14}\.\d+\.\d+\.qmail@host\.example>$/)
    assert.deepEqual(rest, [
      'From: anna@lab.example',
      'Subject: x',
      'To: mary@host.example',
      '',
      'caf\xe9',
      '.dot',
      '',
      '',
    ])
    assert.doesNotMatch(taken?.content ?? '', /192\.0\.2\.7/)
    await client.end()
    assert.match(rig.log.at(-1) ?? '', /^submission anna@lab\.example 192\.0\.2\.7 qp 4711 to 2$/)
  })

  it('takes what is long, byte for byte', async () => {
    const client = await rig.login()
    rig.enqueuer.taken.length = 0
    const body = `${'x'.repeat(70)}\xff\r\n`.repeat(1300)
    assert.match(await client.submit(`Bcc: secret@far.example\r\nX-Long: ${'y'.repeat(2000)}\r\n\r\n${body}`), /^250 /)
    const [taken] = rig.enqueuer.taken
    assert.ok(taken?.content.endsWith(`\n\n${body.replaceAll('\r\n', '\n')}\n`))
    assert.doesNotMatch(taken?.content ?? '', /secret/)
    await client.end()
  })

  it('lets no blind recipient through, whatever stands before the header or is no field of it', async () => {
    const client = await rig.login()
    rig.enqueuer.taken.length = 0
    const secret = 'Bcc : secret@far.example\r\n secret\r\nRESENT-BCC: secret\r\n'
    const body = 'x'.repeat(70_000)
    for (const prelude of [
      '',
      '\r\n',
      '\xef\xbb\xbf',
      'From abc Mon Sep 17\r\n',
      '>From abc\r\n',
      'odd\r\n',
      'X\xe9: y\r\n',
    ])
      for (const rest of ['\r\nbody', `more\r\n${secret}\r\n${body}`, `${body}\r\n${secret}`])
        assert.match(await client.submit(`${prelude}${secret}Subject: s\r\n${secret}${rest}`), /^250 /)
    assert.equal(rig.enqueuer.taken.length, 21)
    for (const { content } of rig.enqueuer.taken) assert.doesNotMatch(content, /secret/)
    await client.end()
  })

  it('passes on what the queue says', async () => {
    const client = await rig.login()
    rig.enqueuer.failure = permanent('3.0', 'mail server permanently rejected message')
    assert.match(await client.submit('X: y\r\n'), /^554 5\.3\.0 mail server permanently rejected message/)
    rig.enqueuer.failure = transient('3.0', 'qq crashed')
    assert.equal(await client.submit('X: y\r\n'), '451 4.3.0 qq crashed (#4.3.0)\r\n')
    rig.enqueuer.failure = undefined
    assert.match(await client.submit('X: y\r\n'), /^250 /)
    await client.end()
  })

  it('obeys databytes, at MAIL and at the end', async () => {
    const client = await rig.login()
    const tooBig = '552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n'
    assert.equal(await client.say('MAIL FROM:<anna@lab.example> SIZE=400001\r\n'), tooBig)
    assert.equal(await client.submit(`X: y\r\n\r\n${'z\r\n'.repeat(200_001)}`), tooBig)
    assert.match(await client.submit('X: y\r\n'), /^250 /)
    await client.end()
  })

  it('refuses a header without end', async () => {
    const limits = await rig.login()
    const many = await limits.submit('X: y\r\n'.repeat(2001))
    assert.equal(many, '552 5.3.4 sorry, that message has too large a header (#5.3.4)\r\n')
    // Behind a blank line it is a header all the same.
    assert.match(await limits.submit(`\r\n${'Subject: y\r\n'.repeat(2001)}`), /^55[24] 5\.3\.4 .*too large a header/)
    assert.match(await limits.submit(`\r\n${'Received: y\r\n'.repeat(101)}`), /^554 5\.4\.6 too many hops/)
    const addresses = await limits.submit(
      'To: someone@far.example\r\n'.concat(' ,someone@far.example\r\n'.repeat(12_000)),
    )
    assert.equal(addresses, '554 5.3.4 sorry, that message has too many addresses in its header (#5.3.4)\r\n')
    await limits.end()
  })

  it('knows MAIL’s parameters after EHLO', async () => {
    const client = await rig.login()
    const mail = (rest: string): Promise<string> => client.say(`MAIL FROM:<anna@lab.example> ${rest}\r\n`)
    assert.equal(await mail('BODY=8BITMIME SIZE=10 AUTH=<>'), '250 2.1.0 ok\r\n')
    assert.equal(await mail('BODY=BINARYMIME'), '501 5.5.4 syntax error in parameters (#5.5.4)\r\n')
    assert.equal(await mail('RET=FULL ENVID=x'), '250 2.1.0 ok\r\n')
    assert.equal(await client.say('RCPT TO:<x@far.example> NOTIFY=FAILURE ORCPT=rfc822;x\r\n'), '250 2.1.5 ok\r\n')
    assert.match(await client.say('DATA\r\n'), /^354 /)
    rig.enqueuer.taken.length = 0
    await client.say('Subject: x\r\n\r\nbody\r\n.\r\n')
    assert.deepEqual(
      rig.enqueuer.taken[0]?.params,
      new Map([
        ['RET', 'FULL'],
        ['ENVID', 'x'],
      ]),
    )
    const said = new Map([
      ['NOTIFY', 'FAILURE'],
      ['ORCPT', 'rfc822;x'],
    ])
    assert.deepEqual(rig.enqueuer.taken[0]?.envelope.recipientParams, new Map([['x@far.example', said]]))
    assert.equal(await mail('SMTPUTF8'), '555 5.5.4 parameter not recognized (#5.5.4)\r\n')
    await client.end()
  })

  it('answers a pipeline in order, wherever it is cut', async () => {
    const text =
      'MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\nX: y\r\n\r\nbody\r\n.\r\nMAIL FROM:<bob@lab.example>\r\nQUIT\r\n'
    for (let cut = 1; cut < text.length; cut += 5) {
      const client = await rig.login()
      client.socket.write(text.slice(0, cut), 'latin1')
      await new Promise((resolve) => setImmediate(resolve))
      const said = await client.say(text.slice(cut), 6)
      assert.deepEqual(
        said.split('\r\n').map((line) => line.slice(0, 3)),
        ['250', '250', '354', '250', '553', '221', ''],
      )
      client.socket.destroy()
    }
  })

  it('bears only so many errors, and slowly', async () => {
    const client = await rig.login()
    const said = await client.say('RCPT TO:<x@y>\r\n'.repeat(30), 30)
    assert.equal((said.match(/^503 /gm) ?? []).length, 20)
    assert.match(said, /\r\n421 4\.7\.0 too many errors \(#4\.7\.0\)\r\n$/)
    await client.untilClosed()
  })

  it('takes no control characters, and no line without end', async () => {
    const client = await rig.login()
    assert.match(await client.say('RCPT TO:<x\0y@z>\r\n'), /^501 5\.5\.2 control character/)
    assert.match(await client.say('x'.repeat(3000)), /^500 5\.5\.2 line too long/)
    await client.untilClosed()
  })

  it('ends when its process is to end, after what runs', async () => {
    const idle = await rig.login()
    rig.lastSession?.shutdown()
    assert.equal(await idle.replies(1), '421 4.3.2 shutting down, try again soon (#4.3.2)\r\n')
    idle.socket.destroy()
    const busy = await rig.login()
    const session = rig.lastSession
    await busy.say('MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n', 3)
    session?.shutdown()
    const said = await busy.say('X: y\r\n\r\n.\r\n', 2)
    assert.match(said, /^250 [^\n]*\n421 4\.3\.2 shutting down/)
    busy.socket.destroy()
    await session?.ended
  })

  it('leaves nothing when the client goes away', async () => {
    const client = await rig.login()
    const session = rig.lastSession
    await client.say('MAIL FROM:<anna@lab.example>\r\nRCPT TO:<a@b>\r\nDATA\r\n', 3)
    rig.enqueuer.taken.length = 0
    client.socket.write('X: y\r\n\r\nhalf')
    client.socket.destroy()
    await session?.ended
    assert.equal(rig.enqueuer.taken.length, 0)
    assert.equal(rig.tools?.budget.held, 0)
  })
})

describe('a session for which control/rewrite cannot be read', () => {
  const rig = new SubmissionRig()
  before(() => {
    rig.control('rewrite', '=a:b\nnonsense')
    return rig.start()
  })
  after(() => rig.stop())

  it('is not held, and the log names the line', async () => {
    const client = await rig.login()
    assert.equal(client.output, '451 4.3.0 unable to read controls (#4.3.0)\r\n')
    assert.match(rig.log.join('\n'), /^alert: control\/rewrite: line 2 /m)
    client.socket.destroy()
  })
})
