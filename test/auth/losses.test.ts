/** Programs of the way of a login are killed while people log in. Nobody who is wrong gets in, nobody waits for ever, and
 *  all of it comes back; sessions in processes that live go on. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { demoAddress, demoPassword, Instance, type LoginPort, until } from '#test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '#test/kit/mail-client.ts'

/** An answer, or the end of the connection, however bad things are, and however busy the machine. */
const answerMillisecondsMax = 30_000
const backMillisecondsMax = 20_000

interface Told {
  readonly right: boolean
  readonly answer: string
  readonly milliseconds: number
}

const isIn = (answer: string): boolean => /^(?:\+OK|235 )/.test(answer)

describe('logins while programs die', { concurrency: false }, () => {
  let instance: Instance
  let addresses = 0

  before(async () => {
    instance = await Instance.start({ services: ['local', 'submission', 'pop3'] })
    // From now on 127.0.0.1 is of a network from which this account logs in.
    await backAgain()
  })
  after(() => instance.end())

  const ways: Readonly<Record<'submissions' | 'pop3s', typeof popLogin>> = { submissions: smtpLogin, pop3s: popLogin }

  async function login(
    port: keyof typeof ways,
    password: string,
    localAddress?: string,
  ): Promise<[MailClient, string]> {
    const from = localAddress === undefined ? {} : { localAddress }
    const client = new MailClient({ port: instance.portOf(port), ...from })
    return [client, await ways[port](client, demoAddress, password)]
  }

  async function backAgain(): Promise<void> {
    for (const port of ['submissions', 'pop3s'] as const) {
      await until(`a login on ${port}`, backMillisecondsMax, async () => {
        const [client, answer] = await login(port, demoPassword).catch(() => [undefined, ''] as const)
        client?.end()
        return isIn(answer) || undefined
      })
    }
  }

  /** People log in, and others guess, until `stop`; what all of them were told. */
  function crowd(): { stop(): Promise<readonly Told[]> } {
    const told: Told[] = []
    let stopping = false
    const one = async (port: keyof typeof ways, right: boolean): Promise<void> => {
      while (!stopping) {
        const began = performance.now()
        const address = right ? '127.0.0.1' : `127.9.${++addresses >> 8}.${addresses & 255}`
        const [client, answer] = await login(port, right ? demoPassword : 'wrong', address)
        client.end()
        told.push({ right, answer, milliseconds: performance.now() - began })
        if (answer === '') await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    const all = [true, true, false].flatMap((right) => [one('submissions', right), one('pop3s', right)])
    return {
      async stop() {
        stopping = true
        await Promise.all(all)
        return told
      },
    }
  }

  async function session(port: 'submissions' | 'pop3s'): Promise<MailClient> {
    return await until(`a session on ${port}`, backMillisecondsMax, async () => {
      const [client, answer] = await login(port, demoPassword)
      if (isIn(answer)) return client
      client.end()
      return undefined
    })
  }

  const survivors: Readonly<Record<string, readonly LoginPort[]>> = {
    authd: ['submissions', 'pop3s'],
    ofmipd: ['pop3s'],
    pop3d: ['submissions'],
    // A local ends with the lspawn or the queue that it belongs to, and tells its sessions.
    lspawn: [],
    queue: [],
    local: [],
  }

  for (const [program, going] of Object.entries(survivors)) {
    it(`${program} killed: ${going.length === 0 ? 'sessions hear of it' : `sessions of ${going.join(' and ')} go on`}`, async () => {
      const submission = await session('submissions')
      // One at a time may have the maildrop: those of the crowd are told so, which is an answer.
      const pop3 = await session('pop3s')
      const people = crowd()
      await new Promise((resolve) => setTimeout(resolve, 300))
      await instance.kill(program)
      await new Promise((resolve) => setTimeout(resolve, 1500))
      const told = await people.stop()
      for (const { right, answer, milliseconds } of told) {
        assert.ok(right || !isIn(answer), answer)
        assert.ok(milliseconds < answerMillisecondsMax, `${milliseconds} ms for '${answer}'`)
        assert.match(
          answer,
          right ? /^(?:$|\+OK|235 |454 |421 |-ERR \[(?:SYS\/TEMP|IN-USE)\])/ : /^(?:$|535 |454 |-ERR \[)/,
        )
      }
      assert.ok(told.some(({ right }) => !right))
      for (const [port, client] of [
        ['submissions', submission],
        ['pop3s', pop3],
      ] as const) {
        if (going.includes(port)) assert.match(await client.say('NOOP'), /^(?:\+OK|250 )/, port)
        else await client.untilClosed(answerMillisecondsMax)
        client.end()
      }
      await backAgain()
    })
  }

  it('a client that closes its half before its login is closed', async () => {
    for (const port of ['submissions', 'pop3s'] as const) {
      const client = new MailClient({ port: instance.portOf(port) })
      await client.until(/^(?:220|\+OK).*\r\n/)
      client.socket.end()
      await client.untilClosed(answerMillisecondsMax)
    }
  })

  it('the log names the programs that were killed, and no bug', async () => {
    const log = await instance.log()
    assert.doesNotMatch(log, /alert: bug/)
    assert.doesNotMatch(log, /alert: login shows/)
  })
})
