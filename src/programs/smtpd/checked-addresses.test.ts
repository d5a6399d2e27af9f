/** Senders and recipients that are checked as one address and would be written as another. */
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

test('a sender is checked as what it becomes; no stranger has one that only this host writes', async () => {
  const control = { badmailfrom: 'ceo@bank.test\n@evil.test\n' }
  const recipient = 'RCPT TO:<joe@lab.test.example>\r\n'
  for (const sender of [
    'ceo@bank.test-@[]',
    '#@[]',
    '-@[]',
    'x@[]',
    '"ceo@bank.test-"@[]',
    '#@[].',
    '@route:a@b-@[]',
  ]) {
    const output = await said(`EHLO x\r\nMAIL FROM:<${sender}>\r\n${recipient}`, { control })
    const refusals = [
      '553 5.1.7 sorry, no host on the network may send as that (#5.1.7)',
      '503 5.5.1 MAIL first (#5.5.1)',
    ]
    assert.deepEqual(output.slice(-2), refusals, sender)
  }
  const relay = { control, environment: { RELAYCLIENT: '' } }
  for (const [sender, code] of [
    ['ceo@bank.test-@[]', '553'],
    ['a@evil.test-@[]', '553'],
    ['list-@good.test-@[]', '250'],
    ['#@[]', '250'],
  ] as const)
    assert.match(
      (await said(`MAIL FROM:<${sender}>\r\n${recipient}`, relay)).at(-1) ?? '',
      new RegExp(`^${code} `),
      sender,
    )
})

test('a recipient is checked as what percenthack makes of it', async () => {
  const control = { rcpthosts: 'lab.test.example\nhack.example\n', percenthack: 'hack.example\n' }
  const outputs = await talk(
    'MAIL FROM:<a@b>\r\nRCPT TO:<x%far.example@hack.example>\r\nRCPT TO:<x%far.example%hack.example@hack.example>\r\nRCPT TO:<joe%lab.test.example@hack.example>\r\nRCPT TO:<joe@hack.example>\r\nRCPT TO:<x%far.example>\r\nDATA\r\n\r\n.\r\n',
    { control },
  )
  assert.match(outputs.output, /250 ok\r\n553 .*\r\n553 .*\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 /)
  assert.deepEqual(outputs.enqueuer.taken[0]?.envelope.recipients, [
    'joe@lab.test.example',
    'joe@hack.example',
    'x%far.example',
  ])
  const withoutHost = { control: { ...control, envnoathost: 'hack.example\n' } }
  assert.match((await said('MAIL FROM:<a@b>\r\nRCPT TO:<x%far.example>\r\n', withoutHost)).at(-1) ?? '', /^553 /)
})
