import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { PlainSession } from '#test/kit/plain-session.ts'
import type { SmtpLimits } from './limits.ts'
import { type Verbs, working } from './session-setting.ts'

const envelope = 'MAIL x\r\nRCPT c@d\r\n'
const shuttingDown = /^421 shutting down, try again soon \(#4\.3\.2\)\r\n$/
const timeout = /^451 timeout \(#4\.4\.2\)\r\n$/

describe('between commands a session', () => {
  it('knows their order, and that MAIL is forgotten by RSET, HELO and EHLO', () => {
    const session = new PlainSession()
    for (const text of ['RCPT c@d\r\n', 'DATA\r\n']) assert.match(session.hears(text), /^503 MAIL first/)
    assert.match(session.hears('MAIL x\r\nDATA\r\n'), /^250 ok\r\n503 RCPT first/)
    for (const [text, reply] of [
      ['RSET', '250 flushed'],
      ['HELO me', '250 helo me'],
      ['EHLO me', '250 ehlo me'],
    ] as const) {
      const said = new PlainSession().hears(`MAIL x\r\n${text}\r\nRCPT c@d\r\n`)
      const status = text === 'EHLO me' ? '5.5.1 ' : ''
      assert.equal(said, `250 ok\r\n${reply}\r\n503 ${status}MAIL first (#5.5.1)\r\n`)
    }
  })

  it('takes input cut anywhere, and keeps an unfinished line', () => {
    const script = `EHLO x\r\n${envelope}RSET\r\nNOOP\r\nEXPN\r\nQUIT\r\n`
    const whole = new PlainSession().hears(script)
    fc.assert(
      fc.property(fc.array(fc.nat(script.length), { maxLength: 10 }), (places) => {
        const session = new PlainSession()
        const cuts = [0, ...places.sort((a, b) => a - b), script.length]
        for (let n = 1; n < cuts.length; n++) session.hears(script.slice(cuts[n - 1], cuts[n]))
        assert.equal(session.output, whole)
        assert.deepEqual(session.closes, ['goodbye'])
      }),
    )
    const session = new PlainSession()
    assert.equal(session.hears('NOO'), '')
    assert.equal(session.pendingBytes, 3)
    assert.equal(session.hears('P\r\n'), '250 ok\r\n')
  })

  it('sends away who speaks no SMTP, or never gets to the point', () => {
    const end = (text: string, limits: Partial<SmtpLimits> = {}): readonly string[] => {
      const session = new PlainSession(limits)
      session.hears(text)
      assert.deepEqual(session.closes, ['refused'])
      assert.equal(session.pendingBytes, 0)
      return session.log
    }
    assert.deepEqual(end('\x16\x03\x01'), ['end: not-smtp 502'])
    assert.deepEqual(end('x'.repeat(2049)), ['end: line-too-long 500'])
    assert.deepEqual(end('NOOP\r\n'.repeat(9), { idleCommandsMax: 3 }), ['end: idle-commands 421'])
    assert.deepEqual(end('EXPN\r\n'.repeat(9), { unknownCommandsMax: 1 }), Array(2).fill('unimplemented 502'))
    assert.deepEqual(end('NOOP \x01\r\n'.repeat(9), { errorsHardMax: 2 }), Array(2).fill('control-character 501'))
  })

  it('says goodbye to QUIT and nothing after it', () => {
    const session = new PlainSession()
    assert.equal(session.hears('QUIT\r\nNOOP\r\n'), '221 lab.example\r\n')
    assert.deepEqual([session.closes, session.pendingBytes], [['goodbye'], 0])
    session.tick()
    session.shutdown()
    session.receiveEnd()
    assert.equal(session.hears('NOOP\r\n'), '')
    assert.deepEqual(session.closes, ['goodbye'])
  })

  it('ends when its time is up, when it is to stop, when nothing more will come', () => {
    const late = new PlainSession()
    late.sessionClock.advance(300_000)
    late.tick()
    assert.deepEqual(late.closes, [])
    late.sessionClock.advance(1)
    late.tick()
    assert.match(late.output, timeout)
    assert.deepEqual([late.log, late.closes], [['idle'], ['refused']])
    const stopped = new PlainSession()
    stopped.shutdown()
    assert.match(stopped.output, shuttingDown)
    const left = new PlainSession()
    left.receiveEnd()
    assert.deepEqual([left.output, left.closes], ['', ['refused']])
  })
})

describe('a session that waits for a promise', () => {
  function waiting(more = ''): PlainSession {
    const session = new PlainSession()
    assert.equal(session.hears(`MAIL x\r\nRCPT later\r\n${more}`), '250 ok\r\n')
    return session
  }

  it('keeps its input, and looks at it in its order afterwards', async () => {
    const session = waiting('NOOP\r\n')
    assert.equal(session.hears('RSET\r\nQUIT\r\n'), '')
    assert.equal(session.pendingBytes, 18)
    session.step.resolve()
    assert.equal(await session.settles(), '250 ok\r\n250 ok\r\n250 flushed\r\n221 lab.example\r\n')
    assert.equal(session.progresses, 1)
  })

  it('is not idle: its time begins when it is the client’s turn', async () => {
    const session = waiting()
    session.sessionClock.advance(500_000)
    session.tick()
    session.step.resolve()
    assert.equal(await session.settles(), '250 ok\r\n')
    session.tick()
    assert.deepEqual(session.closes, [])
  })

  it('is told to stop: first the reply, then 421, and nothing that came meanwhile', async () => {
    for (const more of ['', 'NOOP\r\n']) {
      const session = waiting(more)
      session.shutdown()
      assert.deepEqual(session.closes, [])
      session.step.resolve()
      assert.equal(await session.settles(), '250 ok\r\n421 shutting down, try again soon (#4.3.2)\r\n')
      assert.deepEqual(session.closes, ['refused'])
    }
  })

  it('answers all that a client sent that will send no more', async () => {
    const session = waiting('NOOP\r\n')
    session.receiveEnd()
    assert.deepEqual(session.closes, [])
    session.step.resolve()
    assert.equal(await session.settles(), '250 ok\r\n250 ok\r\n')
    assert.deepEqual(session.closes, ['refused'])
  })

  it('is silent once its connection is gone', async () => {
    const session = waiting('NOOP\r\n')
    session.abort()
    assert.equal(session.pendingBytes, 0)
    session.step.resolve()
    assert.equal(await session.settles(), '')
    assert.deepEqual([session.closes, session.log], [[], []])
  })

  it('ends with a temporary failure if the promise fails, and logs it', async () => {
    const session = waiting('NOOP\r\n')
    session.step.reject(new Error('boom'))
    assert.equal(await session.settles(), '451 temporary failure (#4.3.0)\r\n')
    assert.match(session.log.join('\n'), /^bug .*boom/)
    assert.deepEqual([session.closes, session.progresses], [['refused'], 1])
  })

  it('logs what fails after its connection is gone', async () => {
    const session = waiting()
    session.abort()
    session.step.reject(new Error('boom'))
    assert.equal(await session.settles(), '')
    assert.match(session.log.join('\n'), /^bug .*boom/)
  })
})

describe('a session that holds a refusal back', () => {
  function held(): PlainSession {
    const session = new PlainSession({ errorsSoftMax: 0 })
    assert.equal(session.hears('DATA\r\nNOOP\r\n'), '')
    assert.deepEqual(session.log, ['order 503'])
    return session
  }

  it('says it after the delay, and goes on', () => {
    const session = held()
    session.sessionClock.advance(999)
    assert.equal(session.output, '')
    session.sessionClock.advance(1)
    assert.equal(session.output, '503 MAIL first (#5.5.1)\r\n250 ok\r\n')
    assert.equal(session.progresses, 1)
  })

  it('is told to stop: first the refusal, then 421', () => {
    const session = held()
    session.shutdown()
    assert.deepEqual(session.closes, [])
    session.sessionClock.advance(1000)
    assert.equal(session.output, '503 MAIL first (#5.5.1)\r\n421 shutting down, try again soon (#4.3.2)\r\n')
  })

  it('says nothing once its connection is gone', () => {
    const session = held()
    session.abort()
    session.sessionClock.advance(1000)
    assert.deepEqual([session.output, session.progresses], ['', 0])
  })

  it('holds it back after a promise, too', async () => {
    const session = new PlainSession({ errorsSoftMax: 0 })
    session.hears(`${envelope}DATA\r\n${'Received: x\r\n'.repeat(100)}\r\n.\r\nNOOP\r\n`)
    assert.equal(await session.settles(), '')
    session.sessionClock.advance(1000)
    assert.match(session.output, /354 go ahead\r\n554 too many hops[^\n]*\n250 ok\r\n$/)
  })
})

describe('a session that begins a handshake', () => {
  class SecureSession extends PlainSession {
    protected override get ownVerbs(): Verbs<SecureSession> {
      return new Map([['starttls', working(() => this.beginHandshake())]])
    }
    secured(): void {
      this.endHandshake()
    }
  }

  it('drops what came with it, and looks at nothing until it is done', () => {
    const session = new SecureSession()
    assert.equal(session.hears('STARTTLS\r\nNOOP\r\n'), '')
    assert.equal(session.pendingBytes, 0)
    session.sessionClock.advance(500_000)
    session.tick()
    session.secured()
    session.tick()
    assert.equal(session.hears('NOOP\r\n'), '250 ok\r\n')
    assert.deepEqual(session.closes, [])
  })

  it('is told to stop: by the first reply that can be read', () => {
    const session = new SecureSession()
    session.hears('STARTTLS\r\n')
    session.shutdown()
    session.secured()
    assert.deepEqual(session.closes, [])
    assert.match(session.hears('EHLO x\r\n'), shuttingDown)
    assert.deepEqual(session.closes, ['refused'])
  })
})
