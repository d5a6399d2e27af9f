/** The clock of a whole Quaver is set a year back, a year forward, and right again, in the run and between two runs: no mail
 *  bounces or waits longer than its schedule, and nobody is locked out, or kept waiting at the door, longer than ever. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { join } from 'node:path'
import { lockMillisecondsMax, locksFrom } from '../../src/programs/authd/limits.ts'
import { askAdmin, demoAddress, demoPassword, until } from '#test/kit/instance.ts'
import { MailClient, smtpLogin } from '#test/kit/mail-client.ts'
import { ShiftedInstance } from '#test/kit/shifted-instance.ts'
import { Sink } from '#test/kit/sink.ts'
import { SmtpClient } from '#test/kit/smtp-client.ts'

const minute = 60_000
const year: number = 365 * 24 * 60 * minute
/** The first retry of a remote recipient comes 400 s after its birth, the second 1200 s later. */
const waitMillisecondsMax: number = 20 * minute
const greylistSeconds = 600

interface Queued {
  readonly id: number
  readonly bornMs: number
  readonly recipients: readonly { readonly nextMs: number }[]
}

describe('a whole Quaver whose clock is set', { concurrency: false }, () => {
  let shifted: ShiftedInstance
  let sink: Sink
  let shift = 0
  let deferred = 0

  before(async () => {
    sink = await Sink.listen()
    sink.answer = (verb) => (verb === 'MAIL' ? '451 not now' : undefined)
    shifted = await ShiftedInstance.start({
      services: ['smtp', 'local', 'remote', 'submission'],
      relayDomains: ['later.example'],
      files: {
        'control/smtproutes': `later.example:127.0.0.1:${sink.port}\n`,
        'control/tcprules/smtp': `127.:allow,GL_MIN_REJECT="${greylistSeconds}",SPPCONFFILE="control/greyplugins"\n`,
        'control/greyplugins': '[rcpt]\n/usr/pkg/bin/greylisting-spp-wrapper\n',
        'control/greylist/exemptrcpthosts': 'later.example\n',
        'control/greylist/exemptrcpts': `${demoAddress}\n`,
      },
    })
  })
  after(async () => {
    await shifted.end()
    await sink.close()
  })

  const set = (milliseconds: number): void => {
    shift = milliseconds
    shifted.set(shift)
  }
  const ask = (socket: string, request: object): Promise<unknown[]> =>
    askAdmin(join(shifted.instance.home, 'run', `${socket}.sock`), request)

  async function send(to: string): Promise<void> {
    const client = await SmtpClient.greeted(shifted.instance.smtpPort)
    await client.send({ from: 'me@later.example', to: [to], content: 'Subject: x\r\n\r\nhello\r\n' })
    await client.quit()
  }

  /** Mail comes in as always; what waits was tried, and is as old and waits as long as it should. */
  async function mailIsAsItShouldBe(ageMillisecondsMax: number): Promise<void> {
    const arrived = (await shifted.instance.delivered()).size
    await send(demoAddress)
    await until('the mail', 20_000, async () => (await shifted.instance.delivered()).size > arrived || undefined)
    await send('somebody@later.example')
    deferred++
    const all = { op: 'list', limit: 10 }
    await until('what waits', 20_000, async () => {
      const rows = (await ask('queue-admin', all)) as Queued[]
      const shown = (await Promise.all(rows.map(({ id }) => ask('queue-admin', { op: 'show', id })))).flat() as Queued[]
      const now = Date.now() + shift
      const waits = shown.map(({ recipients }) => (recipients[0]?.nextMs ?? 0) - now)
      if (shown.length !== deferred || waits.some((wait) => wait <= 0)) return undefined
      for (const wait of waits) assert.ok(wait <= waitMillisecondsMax, `waits for ${wait} ms`)
      for (const { bornMs } of shown)
        assert.ok(now - bornMs >= 0 && now - bornMs < ageMillisecondsMax, `${now - bornMs} ms old`)
      return true
    })
    assert.doesNotMatch(await shifted.instance.log(), /bounce msg/)
  }

  async function login(password: string): Promise<string> {
    const client = new MailClient({ port: shifted.instance.portOf('submissions') })
    const answer = await smtpLogin(client, demoAddress, password)
    client.end()
    return answer
  }

  async function locks(): Promise<number[]> {
    const rows = (await ask('authd-admin', { op: 'failures' })) as { lockedForMs: number }[]
    return rows.map(({ lockedForMs }) => lockedForMs).filter((milliseconds) => milliseconds > 0)
  }

  async function greylisted(): Promise<boolean> {
    const client = await SmtpClient.greeted(shifted.instance.smtpPort)
    await client.command('MAIL FROM:<me@later.example>', 250)
    await client.raw('RCPT TO:<demo-grey@quaver.test>\r\n')
    const { code } = await client.reply()
    await client.quit()
    return code === 451
  }

  it('a year back: mail comes and waits as before', async () => {
    await mailIsAsItShouldBe(minute)
    set(-year)
    await mailIsAsItShouldBe(minute)
  })

  it('a year forward: the same; there somebody guesses a password, and a stranger is told to come again', async () => {
    set(year)
    await mailIsAsItShouldBe(minute)
    assert.equal(await greylisted(), true)
    await Promise.all(Array.from({ length: locksFrom.peer }, (_, n) => login(`guess ${n}`)))
    assert.equal((await locks()).length, 1)
  })

  it('right again, in the run: locked for the time of one lock, and the stranger waits as any other', async () => {
    for (const milliseconds of [-year, 0]) {
      set(milliseconds)
      for (const lock of await locks()) assert.ok(lock <= lockMillisecondsMax, `locked for ${lock} ms`)
    }
    await mailIsAsItShouldBe(minute)
    assert.equal(await greylisted(), true)
    set(lockMillisecondsMax + minute)
    assert.match(await login(demoPassword), /^235 /)
    assert.equal(await greylisted(), false)
  })

  it('between two runs, a year forward and right again: the same, and all of the mail goes out once', async () => {
    set(year)
    await shifted.instance.killAll()
    set(0)
    await shifted.instance.restart()
    await mailIsAsItShouldBe(waitMillisecondsMax + 2 * lockMillisecondsMax)
    assert.match(await login(demoPassword), /^235 /)
    sink.answer = () => undefined
    await ask('queue-admin', { op: 'retry', all: true })
    await sink.count(deferred)
    await until(
      'an empty queue',
      20_000,
      async () => (await ask('queue-admin', { op: 'list', limit: 10 })).length === 0 || undefined,
    )
    assert.equal(sink.transactions.length, deferred)
    assert.doesNotMatch(await shifted.instance.log(), /bounce msg/)
  })
})
