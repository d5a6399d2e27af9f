/** What stands behind the addresses of MAIL and RCPT. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedSession, type World } from '#test/kit/smtpd.ts'

async function talk(text: string, world: World = {}): Promise<ScriptedSession> {
  const session = new ScriptedSession(world)
  await session.send(text)
  return session
}

async function said(text: string, world: World = {}): Promise<string[]> {
  const { output } = await talk(text, world)
  return output.split('\r\n').slice(1, -1)
}

test('parameters count after EHLO only', async () => {
  assert.deepEqual(await said('MAIL FROM:<a@b> FOO=1 SIZE=x\r\nRCPT TO:<joe@lab.test.example> NOTIFY=NEVER\r\n'), [
    '250 ok',
    '250 ok',
  ])
  const replies = await said(
    'EHLO x\r\nMAIL FROM:<a@b> FOO=1\r\nMAIL FROM:<a@b> BODY=8bitmime\r\nRCPT TO:<joe@lab.test.example> FOO=NEVER\r\n',
  )
  const unknown = '555 5.5.4 parameter not recognized (#5.5.4)'
  assert.deepEqual(replies.slice(5), [unknown, '250 2.1.0 ok', unknown])
  const session = await talk(
    `EHLO x\r\nMAIL FROM:<a@b> BODY=8bitmime SIZE=5\r\nRCPT TO:<joe@lab.test.example>\r\nDATA\r\n\xe9\r\n.\r\n`,
  )
  assert.deepEqual(session.enqueuer.taken[0]?.params, new Map([['BODY', '8BITMIME']]))
  assert.equal(session.enqueuer.taken[0]?.content.endsWith('\n\xe9\n'), true)
})

test('what RFC 3461 and 4954 know is taken unasked, and what is well formed of RFC 3461 kept, each with its recipient', async () => {
  const session = await talk(
    'EHLO x\r\nMAIL FROM:<a@b> RET=hdrs ENVID=q+2Bq AUTH=<>\r\n' +
      'RCPT TO:<joe@lab.test.example> NOTIFY=success,Delay ORCPT=rfc822;j+40x\r\n' +
      'RCPT TO:<jim@lab.test.example> NOTIFY=never,DELAY ORCPT=nonsense\r\n' +
      'RCPT TO:<jane@lab.test.example>\r\nDATA\r\n\r\n.\r\nMAIL FROM:<a@b> RET=ALL ENVID=+0D+0A\r\n',
  )
  assert.doesNotMatch(session.output, /^5/m)
  const [taken] = session.enqueuer.taken
  assert.deepEqual(
    taken?.params,
    new Map([
      ['RET', 'HDRS'],
      ['ENVID', 'q+2Bq'],
    ]),
  )
  const joe = new Map([
    ['NOTIFY', 'SUCCESS,DELAY'],
    ['ORCPT', 'rfc822;j+40x'],
  ])
  assert.deepEqual(taken?.envelope.recipientParams, new Map([['joe@lab.test.example', joe]]))
})

test('a recipient whose address is changed keeps the one it was given as', async () => {
  const control = { rcpthosts: 'lab.test.example\nhack.example\n', percenthack: 'hack.example\n' }
  const session = await talk(
    'EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<joe%lab.test.example@hack.example>\r\nRCPT TO:<jane@lab.test.example>\r\n' +
      'RCPT TO:<jim@lab.test.example.>\r\nDATA\r\n\r\n.\r\n',
    { control },
  )
  assert.deepEqual(session.enqueuer.taken[0]?.envelope, {
    sender: 'a@b',
    recipients: ['joe@lab.test.example', 'jane@lab.test.example', 'jim@lab.test.example'],
    originals: new Map([
      ['joe@lab.test.example', 'joe%lab.test.example@hack.example'],
      ['jim@lab.test.example', 'jim@lab.test.example.'],
    ]),
  })
})
