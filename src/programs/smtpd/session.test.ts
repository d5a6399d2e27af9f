import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ScriptedSession, type World } from '#test/kit/smtpd.ts'
import { openGate, passed } from './gate.ts'
import { permanent, transient } from '../../base/outcome.ts'

const envelope = 'MAIL FROM:<a@b>\r\nRCPT TO:<joe@lab.test.example>\r\n'
const mail = `${envelope}DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n`

async function talk(text: string, world: World = {}): Promise<ScriptedSession> {
  const session = new ScriptedSession(world)
  await session.send(text)
  return session
}

async function said(text: string, world: World = {}): Promise<string[]> {
  const { output } = await talk(text, world)
  return output.split('\r\n').slice(1, -1)
}

test('a message with everything in one go', async () => {
  const session = await talk(`EHLO client.example\r\n${mail}QUIT\r\n`)
  assert.deepEqual(session.output.split('\r\n'), [
    '220 lab.test.example ESMTP',
    '250-lab.test.example',
    '250-PIPELINING',
    '250-SIZE 52428800',
    '250-ENHANCEDSTATUSCODES',
    '250 8BITMIME',
    '250 2.1.0 ok',
    '250 2.1.5 ok',
    '354 go ahead',
    '250 2.0.0 ok 1795252087 qp 4711',
    '221 2.0.0 lab.test.example',
    '',
  ])
  assert.deepEqual(session.enqueuer.taken, [
    {
      envelope: { sender: 'a@b', recipients: ['joe@lab.test.example'] },
      params: new Map(),
      content:
        'Received: from unknown (HELO client.example) (192.0.2.9)\n  by 192.0.2.1 with SMTP; 21 Nov 2026 09:08:07 -0000\nSubject: x\n\nhello\n',
    },
  ])
  assert.equal(session.closed, true)
})

test('a stranger waits for the replies to HELO, EHLO and DATA; who may relay need not', async () => {
  const strict = { mustWaitForReplies: true }
  for (const hello of ['EHLO', 'HELO']) {
    const session = await talk(`${hello} x\r\n${envelope}`, strict)
    assert.match(session.output, /\r\n554 (?:5\.5\.1 )?smtp protocol violation \(#5\.5\.1\)\r\n$/)
    assert.equal(session.closed, true)
    assert.deepEqual(session.log, ['refused 192.0.2.9 pipelining:'])
  }
  const session = await talk('EHLO x\r\n', strict)
  assert.match(await session.send(`${envelope}DATA\r\n`), /^250 .*\r\n250 .*\r\n354 .*\r\n$/)
  assert.match(await session.send(`Subject: x\r\n\r\nhello\r\n.\r\n${envelope}NOOP\r\n`), /^(?:250 .*\r\n){4}$/)
  assert.match(await session.send(`DATA\r\nSubject`), /^554 /)
  assert.equal(session.closed, true)
  assert.equal(session.enqueuer.taken.length, 1)
  const relay = await talk(`EHLO x\r\n${mail}QUIT\r\n`, { ...strict, environment: { RELAYCLIENT: '' } })
  assert.deepEqual(
    relay.enqueuer.taken.map(({ params }) => [...params]),
    [[['RELAYED', '192.0.2.9']]],
  )
})

test('texts without EHLO are qmail’s', async () => {
  assert.deepEqual(
    await said('helo x\r\nnoop\r\nrset\r\nvrfy a\r\nhelp\r\nexpn\r\n\r\nRCPT TO:<a@b>\r\nDATA\r\nmail\r\ndata\r\n'),
    [
      '250 lab.test.example',
      '250 ok',
      '250 flushed',
      "252 send some mail, i'll try my best",
      '214 notqmail home page: https://notqmail.org',
      '502 unimplemented (#5.5.1)',
      '502 unimplemented (#5.5.1)',
      '503 MAIL first (#5.5.1)',
      '503 MAIL first (#5.5.1)',
      '250 ok',
      '503 RCPT first (#5.5.1)',
    ],
  )
})

test('any chunking of a session says the same and queues the same', async () => {
  const script = `EHLO x\r\n${mail}NOOP\r\nMAIL FROM:<c@d>\r\nRCPT TO:<x@elsewhere>\r\nRSET\r\n${mail}QUIT\r\n`
  const whole = await talk(script)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(script.length), { maxLength: 12 }), async (places) => {
      const session = new ScriptedSession()
      const cuts = [0, ...places.sort((a, b) => a - b), script.length]
      for (let n = 1; n < cuts.length; n++) session.session.receive(Buffer.from(script.slice(cuts[n - 1], cuts[n])))
      await session.settle()
      const text = (output: string): string => output.replace(/ok \d+ qp/g, 'ok qp')
      assert.equal(text(session.output), text(whole.output))
      assert.deepEqual(session.enqueuer.taken.map(body), whole.enqueuer.taken.map(body))
    }),
    { numRuns: 60 },
  )
})

function body({ content }: { content: string }): string {
  return content.slice(content.indexOf('Subject'))
}

test('the queue’s refusal is the reply, of its class', async () => {
  const session = new ScriptedSession()
  session.enqueuer.failure = permanent('7.1', 'no such luck', 'because')
  assert.match(await session.send(mail), /^554 no such luck \(#5\.7\.1\)\r\n/m)
  session.enqueuer.failure = transient('3.0', 'qq crashed', 'gone')
  assert.match(await session.send(`EHLO x\r\n${mail}`), /^451 4\.3\.0 qq crashed \(#4\.3\.0\)\r\n/m)
  assert.equal(session.log.length, 2)
  assert.equal(session.closed, false)
})

test('after DATA a new MAIL is needed, whatever came of it', async () => {
  const session = await talk(mail)
  assert.equal(await session.send('RCPT TO:<joe@lab.test.example>\r\n'), '503 MAIL first (#5.5.1)\r\n')
})

test('MAIL again, RSET, HELO and EHLO forget the recipients', async () => {
  for (const command of ['MAIL FROM:<x@y>\r\n', 'RSET\r\nMAIL FROM:<x@y>\r\n', 'HELO x\r\nMAIL FROM:<x@y>\r\n']) {
    assert.equal((await said(`${envelope}${command}DATA\r\n`)).at(-1), '503 RCPT first (#5.5.1)', command)
  }
})

test('SIZE: refused at MAIL, and again by what really comes', async () => {
  const world = { control: { databytes: '10\n' } }
  const tooBig = '552 5.3.4 sorry, that message size exceeds my databytes limit (#5.3.4)'
  assert.equal((await said('EHLO x\r\nMAIL FROM:<a@b> SIZE=11\r\n', world)).at(-1), tooBig)
  assert.equal((await said('EHLO x\r\nMAIL FROM:<a@b> SIZE=99999999999999999999\r\n', world)).at(-1), tooBig)
  assert.equal((await said('EHLO x\r\nMAIL FROM:<a@b> SIZE=10\r\n', world)).at(-1), '250 2.1.0 ok')
  for (const bad of ['SIZE=-1', 'SIZE=1e9', 'SIZE=', 'SIZE=999999999999999999999', 'BODY=RAW', 'SIZE=1 SIZE=1']) {
    const reply = (await said(`EHLO x\r\nMAIL FROM:<a@b> ${bad}\r\n`)).at(-1)
    assert.equal(reply, '501 5.5.4 syntax error in parameters (#5.5.4)', bad)
  }
  const refused = await talk(`EHLO x\r\n${envelope}DATA\r\n123456789\r\n1\r\n.\r\nQUIT\r\n`, world)
  assert.match(refused.output, /552 5\.3\.4 .*\r\n221 /)
  assert.equal(refused.enqueuer.taken.length, 0)
  assert.match((await talk(`${envelope}DATA\r\n123456789\r\n.\r\n`, world)).output, /250 ok \d+ qp 4711\r\n$/)
})

test('too big a message does not end before its true end', async () => {
  const inside = 'x\r\n.\rMAIL FROM:<evil@x>\r\n'
  const session = await talk(`${envelope}DATA\r\n${'y\r\n'.repeat(30)}..\r\nQUIT\r\n.x\r\n.\r\nNOOP\r\n`, {
    control: { databytes: '10\n' },
  })
  assert.match(
    session.output,
    /354 go ahead\r\n552 sorry, that message size exceeds my databytes limit \(#5\.3\.4\)\r\n250 ok\r\n$/,
  )
  const faulty = await talk(`${envelope}DATA\r\n${'y\r\n'.repeat(30)}${inside}`, { control: { databytes: '10\n' } })
  assert.match(faulty.output, /354 go ahead\r\n554 bare CR/)
  assert.equal(faulty.closed, true)
})

test('long addresses and control characters', async () => {
  const long = `${'a'.repeat(890)}@bcdefghi`
  assert.deepEqual(await said(`MAIL FROM:<${long}>\r\nMAIL FROM:<a${long}>\r\n`), [
    '250 ok',
    '555 syntax error (#5.5.4)',
  ])
  assert.deepEqual(await said('MAIL FROM:<a\x01@b>\r\nMAIL FROM:<a\0@b>\r\nHELO a\rb\r\nMAIL FROM:<a\t@b>\r\n'), [
    ...Array<string>(3).fill('501 control character in command (#5.5.2)'),
    '553 sorry, control characters are not allowed in addresses (#5.1.3)',
  ])
})

test('badmailfrom is said at RCPT, to relay clients too', async () => {
  const world = { control: { badmailfrom: 'bad@x\n@evil.example\n' }, environment: { RELAYCLIENT: '' } }
  const refused = '553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)'
  assert.deepEqual(await said('MAIL FROM:<Bad@X>\r\nRCPT TO:<a@b>\r\n', world), ['250 ok', refused])
  assert.deepEqual(await said('MAIL FROM:<q@sub.evil.example>\r\nRCPT TO:<a@b>\r\n', world), ['250 ok', '250 ok'])
})

test('recipients: postmaster, no domain, RELAYCLIENT, limit', async () => {
  const world: World = { limits: { recipientsMax: 2 } }
  assert.deepEqual(
    await said('MAIL FROM:<>\r\nRCPT TO:<PostMaster>\r\nRCPT TO:<joe>\r\nRCPT TO:<a@lab.test.example>\r\n', world),
    ['250 ok', '250 ok', '250 ok', '452 too many recipients (#4.5.3)'],
  )
  const relayed = await talk(`MAIL FROM:<a@b>\r\nRCPT TO:<c@far.example>\r\nDATA\r\n.\r\n`, {
    environment: { RELAYCLIENT: '.via' },
  })
  assert.deepEqual(relayed.enqueuer.taken[0]?.envelope.recipients, ['c@far.example.via'])
})

test('content faults close at once, and nothing is queued', async () => {
  for (const [bytes, text] of [
    ['a\nb', 'bare LF'],
    ['a\rb', 'bare CR'],
    ['a\0b', 'NUL byte'],
  ] as const) {
    const session = await talk(`EHLO x\r\n${envelope}DATA\r\n${bytes}\r\n.\r\nQUIT\r\n`)
    assert.match(session.output, new RegExp(`354 go ahead\\r\\n554 5\\.6\\.0 ${text}[^\\n]*\\r\\n$`))
    assert.deepEqual([session.closed, session.enqueuer.taken.length, session.log.length], [true, 0, 1])
  }
})

test('errors: the sixth waits, the twentieth is the last', async () => {
  const session = new ScriptedSession()
  session.session.receive(Buffer.from('RCPT TO:<a@b>\r\n'.repeat(6)))
  assert.equal(session.output.match(/503/g)?.length, 5)
  session.clock.advance(999)
  assert.equal(session.output.match(/503/g)?.length, 5)
  session.clock.advance(1)
  assert.equal(session.output.match(/503/g)?.length, 6)
  await session.send('DATA\r\n'.repeat(30))
  assert.equal(session.output.match(/503/g)?.length, 20)
  assert.match(session.output, /421 too many errors \(#4\.7\.0\)\r\n$/)
  assert.equal(session.closed, true)
})

test('a delayed refusal of content keeps its place among the replies', async () => {
  const session = new ScriptedSession()
  session.session.receive(
    Buffer.from(`${'DATA\r\n'.repeat(5)}${envelope}DATA\r\n${'Received: x\r\n'.repeat(100)}\r\n.\r\nNOOP\r\n`),
  )
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve))
  assert.match(session.output, /354 go ahead\r\n$/)
  await session.settle()
  assert.match(session.output, /354 go ahead\r\n554 too many hops[^\n]*\n250 ok\r\n$/)
})

test('unknown commands, idle commands and messages have their limits', async () => {
  assert.match((await talk('EXPN a\r\n'.repeat(9))).output, /^421 too many errors/m)
  const idle = await talk('NOOP\r\n'.repeat(60))
  assert.equal(idle.output.match(/250 ok/g)?.length, 50)
  assert.match(idle.output, /421 too many commands without mail \(#4\.7\.0\)\r\n$/)
  const many = await talk(mail.repeat(4), { limits: { messagesMax: 3 } })
  assert.equal(many.enqueuer.taken.length, 3)
  assert.match(many.output, /421 too many messages in one session, connect again \(#4\.7\.0\)\r\n$/)
})

test('long lines, other protocols', async () => {
  assert.deepEqual(await said(`NOOP ${'x'.repeat(2050)}`), ['500 line too long (#5.5.2)'])
  assert.deepEqual(await said(`NOOP ${'x'.repeat(2000)}\r\n`), ['250 ok'])
  assert.deepEqual(await said('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b>\r\n'), ['502 unimplemented (#5.5.1)'])
  assert.deepEqual(await said('\x16\x03\x01\x02'), ['502 unimplemented (#5.5.1)'])
  const session = await talk('GET / HTTP/1.0\r\n')
  assert.equal(session.closed, true)
})

test('time limits: idle, silent content, slow content, the whole session', async () => {
  const idle = new ScriptedSession({ control: { timeoutsmtpd: '7\n' } })
  idle.clock.time += 7000
  idle.session.tick()
  assert.equal(idle.closed, false)
  idle.clock.time += 1
  idle.session.tick()
  assert.match(idle.output, /451 timeout \(#4\.4\.2\)\r\n$/)

  const silent = await talk(`${envelope}DATA\r\nx\r\n`)
  silent.clock.time += 180_001
  silent.session.tick()
  assert.match(silent.output, /451 timeout \(#4\.4\.2\)\r\n$/)

  const slow = await talk(`${envelope}DATA\r\n`)
  for (let second = 0; second < 61; second++) {
    assert.equal(slow.closed, false)
    slow.clock.time += 1000
    slow.session.receive(Buffer.from('x'))
    slow.session.tick()
  }
  assert.match(slow.output, /451 timeout \(#4\.4\.2\)\r\n$/)

  const long = new ScriptedSession()
  while (!long.closed && long.clock.time < Date.UTC(2026, 10, 22)) {
    long.clock.time += 250_000
    long.session.receive(Buffer.from('NOOP\r\n'))
    long.session.tick()
  }
  assert.match(long.output, /421 session too long \(#4\.4\.2\)\r\n$/)
})

test('stopping: idle at once, a running message is finished first', async () => {
  const idle = new ScriptedSession()
  idle.session.shutdown()
  assert.match(idle.output, /421 shutting down, try again soon \(#4\.3\.2\)\r\n$/)
  const running = await talk(`${envelope}DATA\r\nhello\r\n`)
  running.session.shutdown()
  assert.equal(running.closed, false)
  await running.send('.\r\n')
  assert.match(running.output, /250 ok \d+ qp 4711\r\n421 shutting down, try again soon \(#4\.3\.2\)\r\n$/)
})

test('STARTTLS drops what came with it and forgets what came before', async () => {
  const session = new ScriptedSession({ tls: true })
  assert.match(await session.send('EHLO plain\r\n'), /250-STARTTLS\r\n/)
  assert.equal(await session.send('STARTTLS now\r\n'), '501 5.5.4 syntax error, no parameters allowed (#5.5.4)\r\n')
  assert.equal(
    await session.send(`${envelope}STARTTLS\r\nRSET\r\nNOOP\r\n`),
    '250 2.1.0 ok\r\n250 2.1.5 ok\r\n220 2.0.0 ready to start TLS\r\n',
  )
  assert.equal(session.tlsStarts, 1)
  session.session.tlsStarted({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' })
  assert.equal(await session.send('DATA\r\n'), '503 MAIL first (#5.5.1)\r\n')
  assert.doesNotMatch(await session.send('EHLO x\r\n'), /STARTTLS/)
  assert.equal(await session.send('STARTTLS\r\n'), '503 5.5.1 TLS is on already (#5.5.1)\r\n')
  await session.send(mail)
  assert.match(
    session.enqueuer.taken[0]?.content ?? '',
    /\(HELO x\) \(192\.0\.2\.9\)\n {2}by 192\.0\.2\.1 with ESMTPS \(TLSv1\.3 TLS_AES_256_GCM_SHA384 encrypted\); /,
  )
  assert.deepEqual(await said('STARTTLS\r\n'), ['502 unimplemented (#5.5.1)'])
})

test('a peer that leaves: nothing is queued, what was sent whole is', async () => {
  const gone = await talk(`${envelope}DATA\r\nhalf`)
  gone.session.abort()
  await gone.settle()
  assert.deepEqual([gone.enqueuer.taken.length, gone.budget.held], [0, 0])
  const half = new ScriptedSession()
  half.session.receive(Buffer.from(mail))
  half.session.receiveEnd()
  await half.settle()
  assert.match(half.output, /250 ok \d+ qp 4711\r\n$/)
  assert.equal(half.closed, true)
})

test('XCLIENT begins the session anew as the announced client, by its rules, and only for listed peers', () => {
  const plain = new ScriptedSession()
  plain.session.receive(Buffer.from('XCLIENT ADDR=192.0.2.7\r\n'))
  assert.match(plain.output, /\n502 /)
  const announced: string[] = []
  const listed = new ScriptedSession({
    announce: (client) => {
      announced.push(client.get('ADDR') ?? '')
      const environment = new Map([['TCPREMOTEIP', client.get('ADDR') ?? '']])
      return client.get('ADDR') === '192.0.2.8'
        ? 'denied'
        : { environment, gate: openGate(environment), announce: undefined }
    },
  })
  listed.session.receive(Buffer.from('EHLO front\r\nXCLIENT ADDR=192.0.2.7 HELO=behind\r\n'))
  assert.match(listed.output, /\n250-XCLIENT NAME ADDR [^]*\n220 lab\.test\.example ESMTP\r\n$/)
  listed.output = ''
  listed.session.receive(Buffer.from('MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\nXCLIENT ADDR=192.0.2.9\r\n'))
  assert.match(listed.output, /^250 [^]*\r\n553 [^]*\r\n502 /)
  assert.deepEqual(announced, ['192.0.2.7'])
})

test('the gate is told how many recipients are in the envelope, not how many it let pass', () => {
  const counts: object[] = []
  const session = new ScriptedSession({
    gate: (environment) => ({
      ...openGate(environment),
      at(stage, facts) {
        if (stage === 'rcpt') counts.push(facts.counts)
        return passed
      },
    }),
  })
  const recipients = ['x@elsewhere.example', 'joe@lab.test.example', 'mary@lab.test.example']
  const commands = ['MAIL FROM:<a@b>', ...recipients.map((recipient) => `RCPT TO:<${recipient}>`)]
  session.session.receive(Buffer.from(commands.map((command) => `${command}\r\n`).join('')))
  assert.deepEqual(counts, [
    { accepted: 0, asked: 1 },
    { accepted: 0, asked: 2 },
    { accepted: 1, asked: 3 },
  ])
})
