import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { done, failed, type Outcome, permanent, transient } from '../../base/outcome.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { type Envelope, type Params, relayedParam } from '../../contracts/envelope.ts'
import { type Form, netstring } from '../../protocols/netstring/package-reader.ts'
import { realClock } from '../../system/clock.ts'
import { RelayDialogue } from './dialogue.ts'
import { limits } from './limits.ts'

const relayed: Params = new Map([[relayedParam, '192.0.2.9']])

interface Taken {
  readonly envelope: Envelope
  readonly params: Params
  readonly content: string
}

function dialogueOf(
  form: Form,
  outcome: Outcome<number> = done(7),
  changes: { databytes?: number; suffix?: string } = {},
) {
  const taken: Taken[] = []
  let heard = ''
  let closed = ''
  let nowMs = 1_796_125_866_000
  const enqueuer: Enqueuer = {
    open(envelope, params) {
      const chunks: Buffer[] = []
      return {
        write(bytes) {
          chunks.push(bytes)
          return Promise.resolve()
        },
        close(head) {
          taken.push({ envelope, params, content: head + Buffer.concat(chunks).toString('latin1') })
          return Promise.resolve(outcome)
        },
        abandon() {},
      }
    },
  }
  const environment = new Map([
    ['TCPREMOTEIP', '192.0.2.9'],
    ['TCPREMOTEHOST', 'c.ex'],
    ['TCPLOCALHOST', '192.0.2.1'],
    ['RELAYCLIENT', changes.suffix ?? ''],
  ])
  const clock = { ...realClock, now: () => nowMs, monotonic: () => nowMs }
  const setting = {
    form,
    environment,
    limits,
    clock,
    log: () => undefined,
    enqueuer,
    params: relayed,
    databytes: changes.databytes ?? 0,
  }
  const dialogue = new RelayDialogue(setting, {
    send: (text) => (heard += text),
    startTls: () => undefined,
    close: (how) => (closed = how),
    progress: () => undefined,
  })
  return {
    taken,
    dialogue,
    /** What is answered when nothing is under way any more. */
    async say(text: string, isEnd = true): Promise<string> {
      heard = ''
      dialogue.receive(Buffer.from(text, 'latin1'))
      if (isEnd) dialogue.receiveEnd()
      for (let turn = 0; turn < 50 && (isEnd ? closed === '' : heard === ''); turn++) await pause(2)
      return heard
    },
    closed: () => closed,
    pass: (ms: number) => (nowMs += ms),
  }
}

const message = netstring('\nSubject: x\n\nhi\n')

describe('QMTP', () => {
  it('answers for each recipient, package after package', async () => {
    const one = dialogueOf('qmtp', done(7), { suffix: '.in' })
    const good =
      message + netstring('me@x') + netstring([netstring('a@y'), netstring('a\0b'), netstring('c@z')].join(''))
    const ok = netstring('Kok 1796125866 qp 7')
    const bad = netstring("Dsorry, I can't handle that recipient (#5.1.3)")
    assert.equal(await one.say(good + good), (ok + bad + ok).repeat(2))
    assert.equal(one.closed(), 'goodbye')
    assert.deepEqual(one.taken[0], {
      envelope: { sender: 'me@x', recipients: ['a@y.in', 'c@z.in'], params: relayed },
      params: relayed,
      content:
        'Received: from c.ex (192.0.2.9)\n  by 192.0.2.1 with QMTP; 1 Dec 2026 11:51:06 -0000\nSubject: x\n\nhi\n',
    })
  })

  it('says what it does not take in qmail’s words', async () => {
    const to = netstring(netstring('a@y'))
    const say = (text: string, ...rest: [Outcome<number>?, { databytes?: number }?]): Promise<string> =>
      dialogueOf('qmtp', ...rest).say(text)
    assert.equal(await say(message + netstring('m'.repeat(1000)) + to), netstring('Dunacceptable sender (#5.1.7)'))
    assert.equal(
      await say(message + netstring('m') + netstring(netstring('j'.repeat(1000)))),
      netstring("Dsorry, I can't handle that recipient (#5.1.3)"),
    )
    assert.equal(
      await say(message + netstring('m') + to, done(1), { databytes: 3 }),
      netstring('Dsorry, that message size exceeds my databytes limit (#5.3.4)'),
    )
    assert.equal(
      await say(message + netstring('m') + to, failed(transient('3.0', 'later'))),
      netstring('Zlater (#4.3.0)'),
    )
    assert.equal(await say(message + netstring('m') + to, failed(permanent('3.0', 'no'))), netstring('Dno (#5.3.0)'))
    assert.equal(await say(message + netstring('m') + netstring('')), '')
  })

  it('what is no netstring, and silence, end it without a word', async () => {
    const wrong = dialogueOf('qmtp')
    assert.equal(await wrong.say('5x:abc'), '')
    assert.equal(wrong.closed(), 'refused')
    const silent = dialogueOf('qmtp')
    silent.dialogue.receive(Buffer.from('16:\nSub'))
    silent.pass(limits.idleMillisecondsMax + 1)
    silent.dialogue.tick()
    assert.equal(silent.closed(), 'refused')
  })

  it('takes large messages, and finishes what has begun when it stops', async () => {
    const large = dialogueOf('qmtp')
    const content = 'x'.repeat(300_000)
    const text = netstring(`\n${content}`) + netstring('') + netstring(netstring('a@y'))
    large.dialogue.receive(Buffer.from(text.slice(0, 100_000)))
    large.dialogue.shutdown()
    assert.equal(large.closed(), '')
    assert.match(await large.say(text.slice(100_000)), /^\d+:Kok /)
    assert.ok(large.taken[0]?.content.endsWith(content))
    const idle = dialogueOf('qmtp')
    idle.dialogue.shutdown()
    assert.equal(idle.closed(), 'goodbye')
  })
})

describe('QMQP', () => {
  it('answers once, and hangs up', async () => {
    const request = netstring([netstring('x\n'), netstring('me@x'), netstring('a@y')].join(''))
    const one = dialogueOf('qmqp')
    assert.equal(await one.say(request, false), netstring('Kok 1796125866 qp 7'))
    assert.equal(one.closed(), 'goodbye')
    assert.match(one.taken[0]?.content ?? '', / with QMQP; .*\nx\n$/)
    const bad = netstring([netstring('x\n'), netstring('me@x'), netstring('a\0y'), netstring('b')].join(''))
    assert.equal(
      await dialogueOf('qmqp').say(bad, false),
      netstring("Dsorry, I can't accept addresses like that (#5.1.3)"),
    )
    assert.equal(await dialogueOf('qmqp').say(`${request.slice(0, -1)}x`), '')
  })
})
