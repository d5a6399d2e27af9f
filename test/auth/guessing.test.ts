/** A password is guessed a thousand times from a thousand addresses: that locks out the guessers, and not the owner. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AuthdProcess } from '#test/kit/authd-process.ts'
import type { AuthStep } from '../../src/clients/auth/auth-client.ts'
import { setCredential } from '../../src/stores/credentials/credentials.ts'

const anna = 'anna@example.test'
const secret = 'correct horse'
const home = '198.51.100.7'
const guesses = 1000
const atOnce = 20

/** Each of another network, IPv4 and IPv6 in turn. */
function guesser(n: number): string {
  return n % 2 === 0 ? `203.${n >> 8}.${n & 255}.9` : `2001:db8:${n.toString(16)}::9`
}

const why = (step: AuthStep): string => (step.kind === 'rejected' ? step.why : step.kind)

describe('a password guessed from many addresses', { concurrency: false }, () => {
  const authd = new AuthdProcess()
  const answers = new Map<string, number>()
  before(async () => {
    await setCredential(authd.home, anna, '', secret)
    await setCredential(authd.home, 'bob@example.test', '', secret)
    await authd.start()
  })
  after(() => authd.stop())

  const login = async (ip: string, password = secret, name = anna): Promise<string> =>
    why(await authd.plain(name, password, ip))

  it('the owner logs in, and then a thousand guess', async () => {
    assert.equal(await login(home), 'accepted')
    let next = 0
    const guess = async (): Promise<void> => {
      for (let n = next++; n < guesses; n = next++) {
        const answer = await login(guesser(n), `guess ${n}`)
        answers.set(answer, (answers.get(answer) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, guess))
    assert.equal(answers.get('accepted'), undefined)
    // So few were looked at; to the others it did not matter what they said.
    const looked = answers.get('credentials') ?? 0
    assert.ok(looked >= 20 && looked <= 20 + atOnce, `${looked}`)
    assert.ok((answers.get('locked') ?? 0) > guesses / 2, JSON.stringify([...answers]))
  })

  it('the guessers are locked out, also with the right password', async () => {
    for (const n of [0, 1, 500, 999, 5000, 5001]) assert.equal(await login(guesser(n)), 'locked')
  })

  it('the owner is let in from where he was before, and from beside it', async () => {
    assert.equal(await login(home), 'accepted')
    assert.equal(await login('198.51.100.200'), 'accepted')
    assert.equal(await login(home, 'mistyped'), 'credentials')
    assert.equal(await login(home), 'accepted')
  })

  it('other accounts are not touched, from the addresses of guessers either', async () => {
    assert.equal(await login('192.0.2.80', secret, 'bob@example.test'), 'accepted')
    assert.equal(await login(guesser(3), secret, 'bob@example.test'), 'accepted')
  })

  it('all of it holds after authd was killed', async () => {
    await authd.restart()
    assert.equal(await login(guesser(7)), 'locked')
    assert.equal(await login(home), 'accepted')
  })

  it('each guess is one line of the log', async () => {
    await authd.logged(`failed-login ${home} submission PLAIN ${anna}: wrong password`)
    const lines = authd.log
      .split('\n')
      .filter((line) => / failed-login .* submission PLAIN anna@example\.test: /.test(line))
    assert.ok(lines.length >= guesses, `${lines.length}`)
    assert.doesNotMatch(authd.log, /correct horse|guess \d/)
  })
})
