/** What a site with qmail-run and acceptutils is used to on 587 and 110, one test for each thing, against one whole Quaver.
 *  What a client may say in clear is in test/conformance/login-starttls.test.ts. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { mechanisms } from '../../src/protocols/sasl/mechanisms.ts'
import { compileSenderRules } from '../../src/protocols/submission/sender-rules.ts'
import { setCredential } from '../../src/stores/credentials/credentials.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { syslogTag } from '../../src/system/log-form.ts'
import {
  answerMillisecondsMax,
  base64,
  type From,
  plain,
  pop3Client,
  pop3sClient,
  type SecureClient,
  submissionClient,
} from '../kit/login-client.ts'
import { type Instance, run, until } from '../kit/instance.ts'
import { login, type LoginInstance, startWithLogins } from '../kit/login-instance.ts'
import { allProcesses } from '../kit/processes.ts'
import { ScramClient } from '../kit/scram-client.ts'
import { BareClient } from '../kit/smtpd-server.ts'
import { without } from '../kit/tool.ts'

const { user, password } = login
const proxy = '127.0.0.9'
/** A mailbox may be another test's just then: that is said only to its owner. */
const loggedIn = /^(235 |\+OK |-ERR \[IN-USE\] )/

// At once: most of them wait, for replies that come late on purpose.
describe('logins', { skip: without('openssl'), concurrency: true }, () => {
  let world: LoginInstance | undefined
  const running = (): LoginInstance => world ?? assert.fail('it does not run')
  const quaver = (): Instance => running().quaver
  const submission = (from?: From): Promise<SecureClient> => submissionClient(quaver().portOf('submission'), from)
  const pop3 = (from?: From): Promise<SecureClient> => pop3Client(quaver().portOf('pop3'), from)
  const pop3s = (): Promise<SecureClient> => pop3sClient(quaver().portOf('pop3s'))
  const command = async (input: string, ...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await quaver().quaverWith(input, ...args)
    assert.equal(code, 0, stderr)
  }

  before(async () => {
    world = await startWithLogins({
      'control/proxyclients': `${proxy}\n`,
      'control/saslmechanisms': mechanisms.join('\n'),
    })
    await command('a-second-password\n', 'account', 'add', 'bob@quaver.test', '--password-stdin')
    await command('a-third-password\n', 'account', 'add', 'off@quaver.test', '--password-stdin')
    await command('', 'account', 'disable', 'off@quaver.test')
    await setCredential(homeAt(quaver().home), 'root', '', 'right-for-root')
  })
  after(() => world?.end())

  it('587: AUTH PLAIN and LOGIN work after STARTTLS; in one session there is no second login', async () => {
    for (const begin of [`AUTH PLAIN ${plain(user, password)}`, 'AUTH LOGIN', `AUTH LOGIN ${base64(user)}`]) {
      const { client, ask } = await submission()
      let reply = await ask(begin)
      if (reply === '334 VXNlcm5hbWU6\r\n') reply = await ask(base64(user))
      if (reply === '334 UGFzc3dvcmQ6\r\n') reply = await ask(base64(password))
      assert.equal(reply, '235 2.7.0 ok, go ahead (#2.0.0)\r\n', begin)
      assert.match(await ask(begin), /^50[23] /)
      assert.match(await ask('QUIT'), /^221 /)
      await client.untilClosed()
    }
  })

  it('587 and 995: SCRAM-SHA-256, and the server proves that it knows the password, too', async () => {
    for (const open of [submission, pop3s]) {
      const { client, ask } = await open()
      assert.match(await scram(ask, 'SCRAM-SHA-256', new ScramClient(user, password)), loggedIn)
      client.destroy()
    }
  })

  it('587 and 995: SCRAM-SHA-256-PLUS, bound to its own TLS connection and to no other', async () => {
    for (const open of [submission, pop3s]) {
      const { client, tls, ask } = await open()
      const endPoint = createHash('sha256')
        .update(tls.getPeerX509Certificate()?.raw ?? '')
        .digest('latin1')
      const exporter = tls.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0)).toString('latin1')
      const bound = (name: string, data: string) => new ScramClient(user, password, `p=${name},,`, data)
      const plus = 'SCRAM-SHA-256-PLUS'
      assert.match(await scram(ask, plus, bound('tls-exporter', endPoint)), /^(535 |-ERR )/)
      assert.match(await scram(ask, plus, bound('tls-exporter', exporter)), loggedIn)
      client.destroy()
      const second = await open()
      assert.match(await scram(second.ask, plus, bound('tls-server-end-point', endPoint)), loggedIn)
      second.client.destroy()
    }
  })

  // GNU SASL binds to tls-exporter with TLS 1.3, to tls-unique before.
  for (const [version, priority] of [
    ['TLS 1.3', 'NORMAL'],
    ['TLS 1.2', 'NORMAL:-VERS-TLS1.3'],
  ] as const) {
    it(`gsasl over ${version} with a channel binding`, { skip: without('gsasl') }, async () => {
      const args = ['--smtp', `--connect=localhost:${quaver().portOf('submission')}`, '--mechanism=SCRAM-SHA-256-PLUS']
      args.push(`--authentication-id=${user}`, `--password=${password}`, `--x509-ca-file=${running().caFile}`)
      const { code, stdout, stderr } = await run('gsasl', [...args, `--priority=${priority}`, '--verbose'], '\n')
      assert.equal(code, 0, stdout + stderr)
      assert.match(stdout, /^235 /m)
      assert.match(stderr, /Client authentication finished \(server trusted\)/)
    })
  }

  it('587: MAIL before AUTH is refused', async () => {
    const { client, ask } = await submission()
    for (const line of [`MAIL FROM:<${user}>`, `RCPT TO:<${user}>`, 'DATA'])
      assert.equal(await ask(line), '530 5.7.0 authup authentication required (#5.7.0)\r\n', line)
    client.destroy()
  })

  it('587: a wrong password is 535, each time later; after the fifth the connection is closed', async () => {
    const { client, ask } = await submission({ address: '127.5.5.5' })
    for (let tried = 1; tried <= 5; tried++) {
      const asked = performance.now()
      assert.equal(
        await ask(`AUTH PLAIN ${plain(user, 'wrong')}`),
        '535 5.7.8 authup authorization failed (#5.7.8)\r\n',
      )
      // A timer may be a moment early.
      assert.ok(performance.now() - asked > tried * 1000 - 50, `reply ${tried} came at once`)
    }
    assert.equal(await client.untilClosed(), '')
  })

  it('110: a wrong password is -ERR, each time later; after the third the connection is closed', async () => {
    const { client, ask } = await pop3({ address: '127.5.5.6' })
    for (let tried = 1; tried <= 3; tried++) {
      const asked = performance.now()
      assert.equal(await ask(`USER ${user}`), '+OK \r\n')
      assert.equal(await ask('PASS wrong'), '-ERR [AUTH] authup authorization failed\r\n')
      assert.ok(performance.now() - asked > tried * 1000 - 50, `reply ${tried} came at once`)
    }
    assert.equal(await client.untilClosed(), '')
  })

  it('an unknown name, a disabled account, and root with its password read exactly as a wrong password', async () => {
    const cases = [
      [user, 'wrong'],
      ['nobody@quaver.test', password],
      ['nobody@elsewhere.test', password],
      ['off@quaver.test', 'a-third-password'],
      ['root', 'right-for-root'],
      ['root@localhost', 'right-for-root'],
    ] as const
    const heard = async (at: number, [name, secret]: (typeof cases)[number]): Promise<string[]> => {
      const from = { address: `127.6.6.${at + 1}` }
      const smtp = await submission(from)
      const pop = await pop3(from)
      const byPlain = await smtp.ask(`AUTH PLAIN ${plain(name, secret)}`)
      await smtp.ask('AUTH LOGIN')
      const asked = await smtp.ask(base64(name))
      const byLogin = await smtp.ask(base64(secret))
      const named = await pop.ask(`USER ${name}`)
      const byPass = await pop.ask(`PASS ${secret}`)
      for (const { client } of [smtp, pop]) client.destroy()
      return [byPlain, asked, byLogin, named, byPass]
    }
    const [expected, ...others] = await Promise.all(cases.map((one, at) => heard(at, one)))
    assert.match(expected?.join('') ?? '', /^535 .*\r\n334 UGFzc3dvcmQ6\r\n535 .*\r\n\+OK \r\n-ERR \[AUTH\] .*\r\n$/)
    for (const [at, other] of others.entries()) assert.deepEqual(other, expected, cases[at + 1]?.[0] ?? '')
    // The log knows better.
    for (const reason of ['wrong password', 'no such account', 'disabled', 'uid 0'])
      await quaver().logged(new RegExp(`authd: failed-login 127\\.6\\.6\\.\\d .*: ${reason}$`, 'm'))
  })

  it('587 and 995: what comes behind a login in one write is the session’s, also behind a wrong one', async () => {
    const smtp = await submission()
    const right = `AUTH PLAIN ${plain(user, password)}\r\n`
    smtp.client.say(`${right}MAIL FROM:<${user}>\r\nRCPT TO:<${user}>\r\nRSET\r\nQUIT\r\n`)
    assert.deepEqual(codes(await smtp.client.untilClosed(answerMillisecondsMax)), ['235', '250', '250', '250', '221'])
    const pop = await pop3s()
    // Nobody else is in bob's mailbox.
    const bob = 'USER bob@quaver.test\r\n'
    pop.client.say(`${bob}PASS wrong\r\n${bob}PASS a-second-password\r\nNOOP\r\nQUIT\r\n`)
    const heard = codes(await pop.client.untilClosed(answerMillisecondsMax))
    assert.deepEqual(heard, ['+OK', '-ER', '+OK', '+OK', '+OK', '+OK'])
  })

  it('25: AUTH is neither offered nor taken', async () => {
    const client = BareClient.to(quaver().smtpPort)
    await client.until(/^220 .*\r\n$/)
    client.say('EHLO client.test\r\n')
    assert.doesNotMatch(await client.until(/^250 .*\r\n$/m), /AUTH/)
    client.say(`AUTH PLAIN ${plain(user, password)}\r\n`)
    assert.match(await client.until(/\r\n$/), /^502 /)
    client.destroy()
  })

  it('a command line that never ends costs no CPU', async () => {
    const clients = await Promise.all([submission(), pop3()])
    for (const { client } of clients) client.say('AUTH PLAIN half a li')
    const pids = (await quaver().status()).filter(({ program }) => program === 'ofmipd' || program === 'pop3d')
    const used = (): number[] =>
      pids.map(({ pid }) => allProcesses().find((one) => one.pid === pid)?.cpuMilliseconds ?? 0)
    const earlier = used()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    // A loop would take all of the second; the other tests' logins take some of it.
    for (const [at, now] of used().entries())
      assert.ok(now - (earlier[at] ?? 0) < 700, `${now - (earlier[at] ?? 0)} ms`)
    assert.equal(pids.length, 2)
    for (const { client } of clients) client.destroy()
  })

  it('~/.ofmipd/rules.cdb changes that user’s sender and From, and nobody else’s', async () => {
    const rules = `${user}:Demo Person:demo-shop@quaver.test:\nbob@quaver.test:Not Bob:demo@quaver.test:\n`
    const directory = join(quaver().home, 'mail/quaver.test/demo/.ofmipd')
    await mkdir(directory)
    await writeFile(join(directory, 'rules.cdb'), compileSenderRules(rules).cdb)
    await sendAs(await submission(), user, password, 'by rules')
    await sendAs(await submission(), 'bob@quaver.test', 'a-second-password', 'without rules')
    const ruled = await running().arrived('by rules')
    assert.match(ruled, /^Return-Path: <demo-shop@quaver\.test>\n/)
    assert.match(ruled, /^From: Demo Person <demo-shop@quaver\.test>$/m)
    const other = await running().arrived('without rules')
    assert.match(other, /^Return-Path: <bob@quaver\.test>\n/)
    assert.match(other, /^From: bob@quaver\.test$/m)
  })

  it('587 and 110: a listed proxy says in a PROXY header whom it brings', async () => {
    const proxyHeader = 'PROXY TCP4 192.0.2.7 192.0.2.1 4711 587\r\n'
    const clients = await Promise.all([submission, pop3].map((open) => open({ address: proxy, proxyHeader })))
    for (const [at, { client, ask }] of clients.entries()) {
      assert.match(await ask(`AUTH PLAIN ${plain(user, password)}`), loggedIn)
      client.destroy()
      const line = `authd: login 192.0.2.7 ${at === 0 ? 'submission' : 'pop3'} PLAIN ${user} -\n`
      await until(line, 10_000, async () => ((await quaver().log()).includes(line) ? true : undefined))
    }
    // Nobody else is believed.
    const liar = BareClient.to(quaver().portOf('submission'))
    await liar.until(/^220 .*\r\n$/)
    liar.say(proxyHeader)
    assert.match(await liar.until(/\r\n$/), /^5\d\d /)
    liar.destroy()
  })

  it('log tags: submission is nbqmail/ofmipd, POP3 nbqmail/pop3d', async () => {
    const { client } = await pop3()
    client.destroy()
    ;(await submission()).client.destroy()
    for (const program of ['ofmipd', 'pop3d']) {
      const expected = new RegExp(`^\\S+ ${program}: ok \\d+ quaver\\.test:127\\.0\\.0\\.1:`, 'm')
      await until(`a line of ${program}`, 10_000, async () => (expected.test(await quaver().log()) ? true : undefined))
      assert.equal(syslogTag(program), `nbqmail/${program}`)
    }
  })
})

/** Of each line. */
function codes(replies: string): string[] {
  return replies
    .split('\r\n')
    .slice(0, -1)
    .map((line) => line.slice(0, 3))
}

/** The last reply of an exchange. */
async function scram(ask: SecureClient['ask'], mechanism: string, client: ScramClient): Promise<string> {
  const first = await ask(`AUTH ${mechanism} ${base64(client.first)}`)
  const challenge = /^(?:334|\+) (\S+)\r\n$/.exec(first)?.[1]
  if (challenge === undefined) return first
  const { final, serverFinal } = client.answer(Buffer.from(challenge, 'base64').toString('latin1'))
  const second = await ask(base64(final))
  if (!/^(334|\+) /.test(second)) return second
  assert.equal(second.replace(/^(334|\+) /, ''), `${base64(serverFinal)}\r\n`)
  return await ask('')
}

/** To the demo's account. */
async function sendAs({ client, ask }: SecureClient, name: string, secret: string, subject: string): Promise<void> {
  assert.match(await ask(`AUTH PLAIN ${plain(name, secret)}`), /^235 /)
  assert.match(await ask(`MAIL FROM:<${name}>`), /^250 /)
  assert.match(await ask(`RCPT TO:<${user}>`), /^250 /)
  assert.match(await ask('DATA'), /^354 /)
  assert.match(await ask(`To: ${user}\r\nSubject: ${subject}\r\n\r\nhello\r\n.`), /^250 /)
  assert.match(await ask('QUIT'), /^221 /)
  client.destroy()
}
