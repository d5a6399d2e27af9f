/** What is said after a login is heard by a process of that user, and by nobody else's: against a system home. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { until } from '../kit/instance.ts'
import { plain, pop3sClient, type SecureClient, submissionClient } from '../kit/login-client.ts'
import { allProcesses, commandLine, programOf } from '../kit/processes.ts'
import { SystemInstance, uidOf, withoutSystemHome } from '../kit/system-instance.ts'

const people = [
  { address: 'anna@one.test', password: 'a-password-of-anna', account: 'bin' },
  { address: 'bob@two.test', password: 'a-password-of-bob', account: 'sync' },
] as const

describe('each login in a process of its own user', {
  skip: withoutSystemHome('bin', 'sync'),
  concurrency: false,
}, () => {
  let system: SystemInstance | undefined
  const running = (): SystemInstance => system ?? assert.fail('it does not run')
  const loggedIn = async (
    { address, password }: (typeof people)[number],
    open: () => Promise<SecureClient>,
  ): Promise<SecureClient> => {
    const client = await open()
    assert.match(await client.ask(`AUTH PLAIN ${plain(address, password)}`), /^(235 |\+OK )/)
    return client
  }
  const submission = (): Promise<SecureClient> => submissionClient(running().portOf('submission'))
  const pop3 = (): Promise<SecureClient> => pop3sClient(running().portOf('pop3s'))

  before(async () => {
    system = await SystemInstance.start('smtp', 'local', 'submission', 'pop3')
    for (const { address, password, account } of people)
      await system.quaver(`${password}\n`, 'account', 'add', address, '--user', account, '--password-stdin')
  })
  after(() => system?.end())

  it('the sessions of 587 and 995 run under the uid of the user, one process a uid', async () => {
    const clients = []
    for (const person of people) for (const open of [submission, pop3]) clients.push(await loggedIn(person, open))
    const locals = allProcesses()
      .filter(({ pid }) => programOf(pid) === 'local')
      .filter(({ pid }) => commandLine(pid).includes(running().home))
      .map(({ pid }) => Number(/^Uid:\t(\d+)\t\1\t\1\t\1$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]))
    assert.deepEqual(
      locals.toSorted((a, b) => a - b),
      people.map(({ account }) => uidOf(account)).toSorted((a, b) => a - b),
    )
    for (const { client } of clients) client.destroy()
  })

  it('what one sends is his, and the other fetches it and nothing else', async () => {
    const [anna, bob] = people
    const sending = await loggedIn(anna, submission)
    assert.match(await sending.ask(`MAIL FROM:<${bob.address}>`), /^553 /)
    assert.match(await sending.ask(`MAIL FROM:<${anna.address}>`), /^250 /)
    assert.match(await sending.ask(`RCPT TO:<${bob.address}>`), /^250 /)
    assert.match(await sending.ask('DATA'), /^354 /)
    assert.match(await sending.ask('Subject: to bob\r\n\r\nhello\r\n.'), /^250 /)
    sending.client.destroy()
    const box = join(running().home, 'mail/two.test/bob/Maildir/new')
    const name = await until('the message', 20_000, () => Promise.resolve(readdirSync(box)[0]))
    assert.equal(statSync(join(box, name)).uid, uidOf(bob.account))
    assert.match(
      readFileSync(join(box, name), 'latin1'),
      new RegExp(`\\(qmail \\d+ invoked by uid ${uidOf(anna.account)}\\)`),
    )
    const count = async (person: (typeof people)[number]): Promise<string> => {
      const { client, ask } = await loggedIn(person, pop3)
      const reply = await ask('STAT')
      client.destroy()
      return reply.split(' ')[1] ?? ''
    }
    // In the second in which it came it is not shown yet.
    await until('one message for bob', 10_000, async () => ((await count(bob)) === '1' ? true : undefined))
    assert.equal(await count(anna), '0')
  })
})
