import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedSession, type World } from '#test/kit/smtpd.ts'

async function talk(text: string, world: World = {}): Promise<ScriptedSession> {
  const session = new ScriptedSession(world)
  await session.send(text)
  return session
}

test('a first line that is no SMTP ends the session, by name; later it is a command like any other', async () => {
  const foreign = ['<xml>', 'DELETE /', 'PRI * HTTP/2.0', 'PATCH /', 'TRACE /', 'Host: x', 'SSH-2.0-x', '{"a":1}', '*1']
  for (const line of foreign) {
    const session = await talk(`${line}\r\nNOOP\r\n`, { environment: { UCSPITLS: '!' }, tls: true })
    assert.match(session.output, /^220 [^\n]*\n502 unimplemented \(#5\.5\.1\)\r\n$/, line)
    assert.equal(session.closed, true, line)
    assert.deepEqual(session.log, ['refused 192.0.2.9 not-smtp:'])
  }
  for (const first of ['NOOP', 'EXPN', '']) {
    const later = await talk(`${first}\r\n<xml>\r\nHost: x\r\nSSH-2.0-x\r\n`)
    assert.match(later.output, /(?:502 unimplemented \(#5\.5\.1\)\r\n){3}$/)
    assert.equal(later.closed, false)
  }
  assert.equal((await talk('NOOP\r\nDELETE /\r\n')).closed, true)
})
