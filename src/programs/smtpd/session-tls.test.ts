/** UCSPITLS, as rules set it for a client of port 25. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedSession } from '#test/kit/smtpd.ts'

const mail = 'MAIL FROM:<a@b>\r\n'

function session(level: string | undefined, tls = true): ScriptedSession {
  return new ScriptedSession({ tls, environment: level === undefined ? {} : { UCSPITLS: level } })
}

test('STARTTLS is offered to everybody but those of UCSPITLS="-"', async () => {
  for (const level of [undefined, '', '!', '-']) {
    const offered = level !== '-'
    assert.equal((await session(level).send('EHLO x\r\n')).includes('250-STARTTLS'), offered, String(level))
    assert.match(await session(level).send('STARTTLS\r\n'), offered ? /^220 / : /^502 /, String(level))
  }
})

test('UCSPITLS="!": nothing but NOOP, EHLO, STARTTLS and QUIT before TLS', async () => {
  const client = session('!')
  for (const command of ['HELO x', 'RSET', 'RCPT TO:<joe@lab.test.example>', 'DATA'])
    assert.equal(await client.send(`${command}\r\n`), '530 Must start TLS first (#5.7.0)\r\n', command)
  assert.match(await client.send('EHLO x\r\n'), /^250-/)
  assert.equal(await client.send(mail), '530 5.7.0 Must start TLS first (#5.7.0)\r\n')
  assert.match(await client.send('NOOP\r\nSTARTTLS\r\n'), /^250 .*\r\n220 /)
  client.session.tlsStarted({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' })
  assert.match(await client.send(`EHLO x\r\n${mail}`), /\r\n250 2\.1\.0 ok\r\n$/)
})

test('what was said before TLS is forgotten (RFC 3207 §4.2), the name in HELO and that it was EHLO too', async () => {
  const client = session(undefined)
  await client.send('EHLO clear.example\r\nSTARTTLS\r\n')
  client.session.tlsStarted({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' })
  const before = client.output.length
  await client.send(`${mail}RCPT TO:<joe@lab.test.example>\r\nDATA\r\n\r\nhello\r\n.\r\n`)
  assert.match(client.output.slice(before), /^250 ok\r\n250 ok\r\n354 go ahead\r\n250 ok \d/)
  assert.match(client.enqueuer.taken[0]?.content ?? '', /^Received: from unknown \(192\.0\.2\.9\)\n/)
})

test('UCSPITLS="!" while there is no certificate: the client may come again', async () => {
  assert.equal(await session('!', false).send(mail), '454 TLS not available now (#4.7.0)\r\n')
})
