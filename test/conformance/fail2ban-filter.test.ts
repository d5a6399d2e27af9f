/** The fail2ban filter against lines that our listener writes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BareClient, SmtpServer } from '#test/kit/smtpd-server.ts'
import { lineFormatter, logForms } from '../../src/system/log-form.ts'

const file = readFileSync(join(import.meta.dirname, '../../contrib/fail2ban/filter.d/quaver.conf'), 'utf8')

/** An option's lines; those that follow begin with blanks. */
function option(name: string): string[] {
  const found = new RegExp(`^${name} *= *(.*(?:\\n[ \\t]+.*)*)`, 'm').exec(file)?.[1] ?? ''
  return found.split('\n').map((line) => line.trim())
}

function asExpression(text: string): RegExp {
  const inserted = text
    .replace('%(_tag)s', option('_tag')[0] ?? '')
    .replace('<F-CONTENT>', '(?<content>')
    .replace('</F-CONTENT>', ')')
    .replace('<HOST>', '(?<host>[0-9A-Fa-f:.]+)')
  return new RegExp(inserted)
}

const prefix = asExpression(option('prefregex')[0] ?? '')
const failures = option('failregex').map(asExpression)
const ignored = option('ignoreregex').map(asExpression)

/** As fail2ban does, once it has cut the time off the line. */
function banned(line: string): string | undefined {
  const content = prefix.exec(line)?.groups?.['content']
  if (content === undefined || ignored.some((expression) => expression.test(content))) return undefined
  for (const expression of failures) {
    const host = expression.exec(content)?.groups?.['host']
    if (host !== undefined) return host
  }
  return undefined
}

async function logOf(dialogues: readonly string[], talksEarly = false): Promise<string[]> {
  const server = new SmtpServer({ control: { relayclients: '' } })
  try {
    const port = await server.listen()
    for (const dialogue of dialogues) {
      const client = BareClient.to(port)
      if (!talksEarly) await client.until(/^220 /)
      client.say(dialogue)
      client.finish()
      await client.untilClosed()
    }
  } finally {
    await server.stop()
  }
  return server.log
}

const offences = [
  'GET / HTTP/1.0\r\n\r\n',
  '\x16\x03\x01\x02\x00',
  'FOO bar\r\n',
  `NOOP ${'x'.repeat(3000)}\r\n`,
  'MAIL FROM:<a@b>\r\nRCPT TO:<x@elsewhere.example>\r\n',
  'MAIL FROM:<a@b>\r\nRCPT TO:<x@lab.test.example>\r\nDATA\r\nbare\nlf\r\n.\r\n',
]

test('offences match, one host each, in every form of the log that the filter is for', async () => {
  const log = [...(await logOf(offences)), ...(await logOf(['EHLO x\r\n'], true))]
  const hosts = log.map((line) => banned(`smtpd: ${line}`)).filter((host) => host !== undefined)
  assert.deepEqual(hosts, Array(offences.length + 1).fill('127.0.0.1'))
  const refused = log.find((line) => line.includes('not-smtp')) ?? ''
  for (const form of logForms.filter((one) => one !== 'json')) {
    const line = lineFormatter(form, 'smtpd')(refused).trimEnd()
    // fail2ban cuts the time off; `logger` puts host and tag in front.
    const seen = form === 'stamp' ? line.replace(/^\S+/, '') : form === 'syslog' ? ` host nbqmail/smtpd: ${line}` : line
    assert.equal(banned(seen), '127.0.0.1', `${form}: ${seen}`)
  }
})

test('what is no offence does not', async () => {
  const quiet = await logOf([
    'QUIT\r\n',
    'MAIL FROM:<a@b>\r\nRCPT TO:<x@lab.test.example>\r\nDATA\r\n\r\nhello\r\n.\r\n',
  ])
  assert.ok(quiet.length > 4)
  for (const line of [
    ...quiet,
    'refused 192.0.2.1 queue trouble: 451 x',
    'refused 192.0.2.1 idle: 451 timeout (#4.4.2)',
  ])
    assert.equal(banned(`smtpd: ${line}`), undefined, line)
})

test('other programs’ lines, and what a peer says, bring nobody into it', async () => {
  assert.equal(banned(' host sshd[1]: user smtpd: refused 192.0.2.1 early-talker:'), undefined)
  assert.equal(banned('queue: smtpd: refused 192.0.2.1 early-talker:'), undefined)
  const forged = await logOf([
    'FOO\x0bsmtpd:\x0brefused\x0b192.0.2.1\x0bearly-talker:\r\n',
    'EHLO smtpd: refused 192.0.2.1 early-talker:\r\nQUIT\r\n',
  ])
  for (const line of forged) assert.notEqual(banned(`smtpd: ${line}`), '192.0.2.1')
})

test('failed logins match, unless the fault is ours or another’s', () => {
  const line = (reason: string, account = 'anna@x.test'): string =>
    `failed-login 192.0.2.1 submission SCRAM-SHA-256 ${account}: ${reason}`
  for (const reason of [
    'wrong password',
    'no such account',
    'wrong proof',
    'locked: too many failures from this address',
    'malformed: no GS2 header',
  ])
    for (const form of logForms.filter((one) => one === 'stderr' || one === 'journal'))
      assert.equal(banned(lineFormatter(form, 'authd')(line(reason)).trimEnd()), '192.0.2.1', reason)
  assert.equal(banned(`authd: ${line('wrong password', '-')}`), '192.0.2.1')
  assert.equal(banned(`authd: ${line('wrong password', 'x:_temporary:')}`), '192.0.2.1')
  for (const reason of [
    'temporary: no answer from lspawn',
    'not offered',
    'wrong password, as before',
    'locked: too many failures for this account',
  ])
    assert.equal(banned(`authd: ${line(reason)}`), undefined, reason)
  assert.equal(banned('authd: login 192.0.2.1 submission PLAIN anna@x.test -'), undefined)
})
