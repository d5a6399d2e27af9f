/** The third-party relay battery at RCPT: a stranger never gets a recipient accepted that would leave this machine.
 *  What is accepted must be local: no domain, or a domain of rcpthosts after the last `@`, for whoever resolves it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainOf } from '../../src/protocols/smtp/address.ts'
import { sharedJson, skipWithout } from '../kit/shared.ts'
import { ScriptedSession } from '../kit/smtpd.ts'

interface Case {
  readonly id: string
  readonly mail_from: string
  readonly rcpt_to: string
}

const suite = sharedJson<{ external: Case[]; own_additions: Case[] }>('suites', 'open-relay', 'cases.json')
const cases = [...(suite?.external ?? []), ...(suite?.own_additions ?? [])]
const us = 'mx.lab.example'
const local = 'lab.example'
const world = {
  control: { me: `${us}\n`, rcpthosts: `${us}\n${local}\n` },
  localAddresses: ['192.0.2.1', '127.0.0.1'],
}

function filled(text: string): string {
  return text
    .replace('LK_KELVIN (U+212A case fold)', Buffer.from('\u212aab.example').toString('latin1'))
    .replace(/\b(D|S|L|I|X)\b/g, (name) => {
      const values: Record<string, string> = {
        D: 'third.example',
        S: us,
        L: local,
        I: '192.0.2.1',
        X: 'client.example',
      }
      return values[name] ?? name
    })
}

test('cases are there', { skip: skipWithout('suites', 'open-relay', 'cases.json') }, () =>
  assert.equal(cases.length, 59),
)

for (const { id, mail_from, rcpt_to } of cases) {
  test(`${id} ${JSON.stringify(rcpt_to)}`, async () => {
    for (const hello of ['', 'EHLO client\r\n']) {
      for (const recipient of [`<${filled(rcpt_to)}>`, filled(rcpt_to)]) {
        const session = new ScriptedSession(world)
        await session.send(`${hello}MAIL FROM:<${filled(mail_from)}>\r\n`)
        await session.send(`RCPT TO:${recipient}\r\n`)
        await session.send('DATA\r\n\r\n.\r\n')
        for (const accepted of session.enqueuer.taken.flatMap((message) => message.envelope.recipients)) {
          const domain = domainOf(accepted)
          assert.ok(domain === undefined || domain === us || domain === local, `accepted ${accepted}`)
          assert.doesNotMatch(accepted, /[\0\r\n]/)
        }
      }
    }
  })
}

test('plain third parties are refused with qmail’s words, and log one line', async () => {
  const session = new ScriptedSession(world)
  const output = await session.send('MAIL FROM:<>\r\nRCPT TO:<relaytest@third.example>\r\n')
  assert.match(output, /553 sorry, that domain isn't in my list of allowed rcpthosts \(#5\.7\.1\)\r\n$/)
  assert.deepEqual(session.log.length, 1)
})

test('without rcpthosts no domain is accepted (qmail would accept all)', async () => {
  const session = new ScriptedSession({ control: { rcpthosts: undefined } })
  const output = await session.send(
    'MAIL FROM:<>\r\nRCPT TO:<a@lab.test.example>\r\nRCPT TO:<a@third.example>\r\nRCPT TO:<postmaster>\r\n',
  )
  assert.match(output, /250 ok\r\n553 [^\n]*\r\n553 [^\n]*\r\n250 ok\r\n$/)
})
