import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { HandedEnvelope } from '../../clients/queue/hand-in.ts'
import { callProgram } from '#test/kit/qmail-call.ts'
import { sendmail } from './sendmail.ts'

const home = mkdtempSync(join(tmpdir(), 'quaver-sendmail-'))
mkdirSync(join(home, 'control'))
writeFileSync(join(home, 'control/me'), 'me.example\n')
after(() => rmSync(home, { recursive: true, force: true }))

/** What the queue is told of the message, and of each recipient. */
async function told(...args: string[]): Promise<unknown> {
  let given: HandedEnvelope | undefined
  const { code } = await callProgram(sendmail, {
    name: 'sendmail',
    home,
    args: [...args, 'a@x.example', 'b@y.example'],
    input: 'Subject: x\n\nx\n',
    onEnvelope: (envelope) => {
      given = envelope
    },
  })
  assert.equal(code, 0)
  const ofRecipients = [...(given?.recipientParams ?? [])].map(([recipient, params]) => [recipient, ...params].flat())
  return [[...(given?.params ?? [])], ofRecipients]
}

test('what is asked for of reports goes with the message and each recipient', async () => {
  assert.deepEqual(await told('-N', 'failure,delay', '-R', 'hdrs', '-V', 'id+2B1'), [
    [
      ['RET', 'HDRS'],
      ['ENVID', 'id+2B1'],
    ],
    [
      ['a@x.example', 'NOTIFY', 'FAILURE,DELAY'],
      ['b@y.example', 'NOTIFY', 'FAILURE,DELAY'],
    ],
  ])
})

test('without such options, or where they are malformed, nothing is said', async () => {
  assert.deepEqual(await told(), [[], []])
  assert.deepEqual(await told('-N', 'sometimes', '-R', 'some', '-V', 'two words'), [[], []])
})
