/** Programs written to the RCPTCHECK interface only, and our own versions of those that pkgsrc ships. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type CheckFiles, checkRecipient, type CheckTools } from '../../src/programs/smtpd/plug-ins/recipient-check.ts'
import { builtInPlugIns } from '../../src/programs/smtpd/plug-ins/built-ins.ts'
import { SppSession } from '../../src/programs/smtpd/plug-ins/session.ts'
import { parsePlugIns } from '../../src/protocols/spp/plug-ins.ts'
import { ExecProcess } from '../kit/exec-process.ts'

const first = { accepted: 0, asked: 1 } as const

const exec = new ExecProcess()
before(() => exec.start())
after(() => exec.stop())

const noFiles: CheckFiles = {
  rcptchecks: [],
  badrcptto: [],
  badhelo: [],
  badmailfrom: [],
  badmailfromnorelay: [],
  badmailto: [],
  badmailtonorelay: [],
}
const connection = new Map([
  ['PROTO', 'TCP6'],
  ['TCP6REMOTEIP', '2001:db8::1'],
])

let log: string[] = []
function toolsWith(files: Partial<CheckFiles>, isDeliverable?: CheckTools['isDeliverable']): CheckTools {
  log = []
  const all = { ...noFiles, ...files }
  return { executor: exec.client, log: (line) => log.push(line), files: () => all, isDeliverable }
}

async function verdict(
  tools: CheckTools,
  recipient: string,
  more: Readonly<Record<string, string>> = {},
  program = '/usr/pkg/bin/qmail-rcptcheck',
): Promise<string> {
  const environment = new Map([...connection, ...Object.entries(more)])
  const answer = await checkRecipient(tools, { program, sender: 'joe@example.com', recipient, environment })
  return `${answer.verdict} by ${answer.decidedBy}`
}

const sh = (name: string, body: string): string => exec.program(name, `#!/bin/sh\n${body}\n`)

test('RCPTCHECK: exits, death, absence, a program that never says anything', async () => {
  const tools = toolsWith({})
  const check = sh(
    'check',
    `case "$RECIPIENT" in
 no@*) exit 100;; doubt@*) exit 111;; cannot@*) exit 120;; crash@*) kill -9 $$;; odd@*) exit 42;;
 sender@*) test "$SENDER" = joe@example.com && exit 100;;
esac`,
  )
  const of = async (recipient: string): Promise<string> => verdict(tools, recipient, {}, check)
  assert.equal(await of('yes@example.org'), 'accept by bin/check')
  assert.equal(await of('odd@example.org'), 'accept by bin/check')
  assert.equal(await of('no@example.org'), 'refuse by bin/check')
  assert.equal(await of('sender@example.org'), 'refuse by bin/check')
  assert.equal(await of('doubt@example.org'), 'cannot-verify by bin/check')
  assert.equal(await of('cannot@example.org'), 'cannot-execute by bin/check')
  assert.equal(await of('crash@example.org'), 'cannot-execute by bin/check')
  assert.equal(await verdict(tools, 'x@example.org', {}, 'bin/absent'), 'cannot-execute by bin/absent')
})

test('control/rcptchecks: in order, the first that does not accept decides', async () => {
  const accept = sh('accept', 'echo "$RECIPIENT" >> asked.out')
  const refuse = sh('refuse', 'exit 100')
  const tools = toolsWith({ rcptchecks: [accept, refuse, 'bin/absent', 'bin/qmail-rcptcheck'] })
  assert.equal(await verdict(tools, 'x@example.org'), 'refuse by bin/refuse')
  assert.equal(log[0], 'qmail-rcptcheck: from joe@example.com to x@example.org')
  assert.equal(await verdict(toolsWith({}), 'x@example.org'), 'accept by control/rcptchecks')
  const itself = toolsWith({ rcptchecks: ['bin/qmail-rcptcheck'] })
  assert.equal(await verdict(itself, 'x@example.org'), 'accept by control/rcptchecks')
})

test('badrcptto: addresses and domains in any case; not for relay clients', async () => {
  const tools = toolsWith({
    rcptchecks: ['/x/qmail-rcptcheck-badrcptto'],
    badrcptto: ['Old@Example.org', '@gone.example'],
  })
  assert.equal(await verdict(tools, 'oLD@example.ORG'), 'refuse by control/badrcptto')
  assert.equal(log.at(-1), `rcptcheck: badrcptto ${process.pid} 2001:db8::1 oLD@example.ORG`)
  assert.equal(await verdict(tools, 'anybody@GONE.example'), 'refuse by control/badrcptto')
  assert.equal(await verdict(tools, 'new@example.org'), 'accept by control/rcptchecks')
  assert.equal(await verdict(tools, 'old@example.org', { RELAYCLIENT: '' }), 'accept by control/rcptchecks')
})

test('qregex: each file, negation, relay clients, a pattern that cannot be used', async () => {
  const rcptchecks = ['/x/qmail-rcptcheck-qregex']
  const of = (
    files: Partial<CheckFiles>,
    more: Readonly<Record<string, string>> = {},
    recipient = 'x%y@example.org',
  ): Promise<string> => verdict(toolsWith({ ...files, rcptchecks }), recipient, more)
  assert.equal(await of({ badmailto: ['%'] }), 'refuse by control/badmailto')
  assert.equal(log.at(-1), `rcptcheck: qregex ${process.pid} 2001:db8::1 x%y@example.org (badmailto)`)
  assert.equal(await of({ badmailto: ['!@EXAMPLE\\.org$'] }), 'accept by control/rcptchecks')
  assert.equal(await of({ badmailto: ['!@example\\.com$'] }), 'refuse by control/badmailto')
  assert.equal(await of({ badmailtonorelay: ['%'] }), 'refuse by control/badmailtonorelay')
  assert.equal(await of({ badmailtonorelay: ['%'] }, { RELAYCLIENT: '' }), 'accept by control/rcptchecks')
  assert.equal(await of({ badmailfrom: ['^joe@'] }, { LOGREGEX: '1' }), 'refuse by control/badmailfrom')
  assert.match(log.at(-1) ?? '', / joe@example\.com \(badmailfrom pattern: \^joe@\)$/)
  assert.equal(await of({ badmailfromnorelay: ['^joe@'] }, { RELAYCLIENT: '' }), 'accept by control/rcptchecks')
  assert.equal(await of({ badhelo: ['.'] }), 'accept by control/rcptchecks', 'HELOHOST is not set')
  assert.equal(await of({ badhelo: ['^evil$'] }, { HELOHOST: 'EVIL' }), 'refuse by control/badhelo')
  assert.equal(await of({ badhelo: ['.'] }, { HELOHOST: 'x', NOBADHELO: '' }), 'accept by control/rcptchecks')
  assert.equal(await of({ badmailto: ['('] }), 'cannot-verify by control/badmailto')
})

test('realrcptto asks whoever knows', async () => {
  const rcptchecks = ['bin/qmail-rcptcheck-realrcptto']
  const answer = (recipient: string): Promise<'accept' | 'refuse' | 'cannot-verify'> =>
    Promise.resolve(recipient.startsWith('no') ? 'refuse' : recipient.startsWith('what') ? 'cannot-verify' : 'accept')
  const tools = toolsWith({ rcptchecks }, answer)
  assert.equal(await verdict(tools, 'nobody@example.org'), 'refuse by users and .qmail files')
  assert.equal(log.at(-1), `rcptcheck: realrcptto ${process.pid} 2001:db8::1 nobody@example.org`)
  assert.match(await verdict(tools, 'what@example.org'), /^cannot-verify/)
  assert.match(await verdict(tools, 'joe@example.org'), /^accept/)
})

test('qmail-rcptcheck as a plug-in: E553 goes on, R421 ends', async () => {
  const check = sh('both', 'test "$RECIPIENT" = no@example.org && exit 100; exit 111')
  const builtIn = builtInPlugIns({ check: toolsWith({ rcptchecks: [check] }) })
  const plugIns = parsePlugIns(['[rcpt]', '/usr/pkg/bin/qmail-rcptcheck'])
  const spp = new SppSession(plugIns, connection, { executor: exec.client, builtIn })
  await spp.mail('joe@example.com')
  assert.deepEqual((await spp.rcpt('no@example.org', true, first)).verdict, {
    kind: 'refuse',
    reply: { code: 553, text: 'sorry, no mailbox here by that name. (#5.1.1)', status: '5.1.1' },
    before: [],
  })
  assert.deepEqual((await spp.rcpt('x@example.org', true, first)).verdict, {
    kind: 'refuse-drop',
    reply: { code: 421, text: 'unable to verify recipient (#4.3.0)', status: '4.3.0' },
    before: [],
  })
})
