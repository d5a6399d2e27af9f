/** A login without sockets: authd and lspawn are values, and what is said is gathered. */
import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import type { AuthAttempt, AuthStep } from '../../clients/auth/auth-client.ts'
import type { BegunSession } from '../../clients/sessions/session-client.ts'
import { limits } from './limits.ts'
import { LoginDialogue } from './login-dialogue.ts'
import { Pop3Login } from './pop3-login.ts'
import type { LoginProtocol } from './protocol.ts'
import { SmtpLogin } from './smtp-login.ts'

const plain = Buffer.from('\0joe@lab.test\0secret').toString('base64')
const rejected: AuthStep = { kind: 'rejected', why: 'credentials' }
const challenge: AuthStep = {
  kind: 'challenge',
  data: 'Password:',
  respond: () => Promise.resolve(rejected),
  cancel: () => undefined,
}

interface World {
  readonly answers?: readonly AuthStep[]
  readonly session?: BegunSession
  readonly mechanisms?: readonly string[]
  readonly bindings?: ReadonlyMap<'tls-exporter', string>
  readonly triesMax?: number
}

function submission(): LoginProtocol {
  return new SmtpLogin({ greeting: 'lab.test', databytes: 1000, capabilities: undefined, brokenClients: false })
}

function pop3(): LoginProtocol {
  return new Pop3Login({ greeting: 'lab.test', capabilities: ['IMPLEMENTATION Quaver'] })
}

function open(protocol: LoginProtocol, world: World = {}) {
  const clock = new FakeClock()
  const log: string[] = []
  const attempts: AuthAttempt[] = []
  const answers = [...(world.answers ?? [])]
  const heard = { said: '', closed: '', handshakes: 0, taken: false }
  let gone: AbortSignal | undefined
  const begin = (attempt: AuthAttempt, signal?: AbortSignal): Promise<AuthStep> => {
    gone = signal
    attempts.push(attempt)
    return Promise.resolve(answers.shift() ?? rejected)
  }
  const refused: BegunSession = { kind: 'refused', why: 'temporary', logText: 'no session in this test' }
  const dialogue = new LoginDialogue(
    {
      clock,
      log: (line) => log.push(line),
      limits,
      auth: { begin, mechanisms: () => world.mechanisms ?? ['SCRAM-SHA-256-PLUS', 'PLAIN', 'LOGIN'] },
      sessions: { begin: () => Promise.resolve(world.session ?? refused) },
      environment: new Map([['TCPREMOTEIP', '192.0.2.1']]),
      peer: { remoteIp: '192.0.2.1', remotePort: 4000, localIp: '198.51.100.1', localPort: 587 },
      service: 'submission',
      protocol,
      triesMax: world.triesMax ?? 5,
    },
    {
      send: (text) => (heard.said += text),
      startTls: () => heard.handshakes++,
      close: (how) => (heard.closed = how),
      progress: () => undefined,
      takeSocket() {
        heard.taken = true
        return new Socket()
      },
    },
  )
  dialogue.greet()
  const say = async (text: string): Promise<string> => {
    heard.said = ''
    dialogue.receive(Buffer.from(text, 'latin1'))
    await new Promise((resolve) => setImmediate(resolve))
    return heard.said
  }
  const secure = (): void => {
    const bindings = (): ReadonlyMap<'tls-exporter', string> => world.bindings ?? new Map()
    dialogue.tlsStarted({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', bindings })
  }
  return { dialogue, clock, log, attempts, heard, say, secure, hasLeft: () => gone?.aborted === true }
}

describe('submission before its login', () => {
  it('closes on another protocol: a first line that begins with no word, or an HTTP verb', async () => {
    for (const line of ['<xml>', 'PRI * HTTP/2.0', 'DELETE /', 'Host: x', 'SSH-2.0-x']) {
      const { say, heard } = open(submission())
      assert.equal(await say(`${line}\r\n`), '502 unimplemented (#5.5.1)\r\n')
      assert.equal(heard.closed, 'goodbye')
    }
    const { say, heard } = open(submission())
    assert.match(await say('NOOP\r\n<xml>\r\n'), /^250 ok\r\n530 /)
    assert.equal(heard.closed, '')
  })

  it('offers STARTTLS and no AUTH in clear, AUTH and no STARTTLS in TLS', async () => {
    const { say, secure, heard } = open(submission())
    assert.equal(heard.said, '220 lab.test ESMTP\r\n')
    const clear = await say('EHLO client\r\n')
    assert.match(clear, /^250-lab\.test\r\n250-STARTTLS\r\n/)
    assert.doesNotMatch(clear, /AUTH/)
    assert.equal(await say(`AUTH PLAIN ${plain}\r\n`), '530 5.7.0 authup must start TLS first (#5.7.0)\r\n')
    assert.match(await say('STARTTLS\r\n'), /^220 /)
    assert.equal(heard.handshakes, 1)
    secure()
    const encrypted = await say('EHLO client\r\n')
    assert.match(encrypted, /\r\n250-AUTH PLAIN LOGIN\r\n/)
    assert.doesNotMatch(encrypted, /STARTTLS|PLUS/)
    assert.match(encrypted, /\r\n250 SIZE 1000\r\n$/)
  })

  it('forgets what came with STARTTLS, and what was said before it', async () => {
    const { say, secure, attempts } = open(submission())
    await say('EHLO client\r\n')
    assert.doesNotMatch(await say(`STARTTLS\r\nAUTH PLAIN ${plain}\r\nNOOP\r\n`), /250/)
    secure()
    // No EHLO since: no enhanced code.
    assert.equal(await say('NOOP\r\n'), '250 ok\r\n')
    assert.equal(attempts.length, 0)
  })

  it('offers channel binding only where there is something to bind to', async () => {
    const { say, secure } = open(submission(), { bindings: new Map([['tls-exporter', 'x'.repeat(32)]]) })
    secure()
    assert.match(await say('EHLO client\r\n'), /AUTH SCRAM-SHA-256-PLUS PLAIN LOGIN/)
  })

  it('takes no mail', async () => {
    const { say, secure } = open(submission())
    secure()
    await say('EHLO client\r\n')
    for (const command of ['MAIL FROM:<a@b>', 'RCPT TO:<a@b>', 'DATA', 'VRFY a', 'BDAT 1'])
      assert.equal(await say(`${command}\r\n`), '530 5.7.0 authup authentication required (#5.7.0)\r\n', command)
  })

  it('carries an exchange to its end, one reply for each line', async () => {
    const responses: string[] = []
    const recorded: AuthStep = {
      ...challenge,
      respond(data) {
        responses.push(data)
        return Promise.resolve(rejected)
      },
      cancel: () => responses.push('cancelled'),
    }
    const { say, secure, clock, heard } = open(submission(), { answers: [recorded, recorded] })
    secure()
    assert.equal(await say('AUTH LOGIN am9l\r\n'), '334 UGFzc3dvcmQ6\r\n')
    assert.equal(await say('c2VjcmV0\r\n'), '')
    clock.advance(1000)
    assert.equal(heard.said, '535 authup authorization failed (#5.7.8)\r\n')
    assert.equal(await say('AUTH LOGIN =\r\n'), '334 UGFzc3dvcmQ6\r\n')
    assert.equal(await say('*\r\n'), '501 authup authentication cancelled (#5.0.0)\r\n')
    assert.deepEqual(responses, ['secret', 'cancelled'])
  })

  it('answers five wrong passwords, each later than the one before, and closes', async () => {
    const { say, secure, clock, heard } = open(submission())
    secure()
    for (let tries = 1; tries <= 5; tries++) {
      assert.equal(heard.closed, '')
      assert.equal(await say(`AUTH PLAIN ${plain}\r\n`), '')
      clock.advance(tries * limits.failureDelayMilliseconds - 1)
      assert.equal(heard.said, '')
      clock.advance(1)
      assert.equal(heard.said, '535 authup authorization failed (#5.7.8)\r\n')
    }
    assert.equal(heard.closed, 'refused')
  })

  it('lets authd know when nobody waits for its answer any more', async () => {
    for (const leave of ['abort', 'receiveEnd'] as const) {
      const { say, secure, dialogue, hasLeft } = open(submission(), { answers: [challenge] })
      secure()
      await say('AUTH LOGIN am9l\r\n')
      assert.equal(hasLeft(), false)
      dialogue[leave]()
      assert.equal(hasLeft(), true)
    }
  })

  it('what is not base64 is said so, without asking anybody', async () => {
    const { say, secure, attempts } = open(submission())
    secure()
    assert.match(await say('AUTH PLAIN not*base64\r\n'), /^501 /)
    assert.match(await say('AUTH PLAIN a b c\r\n'), /^501 /)
    assert.equal(attempts.length, 0)
  })

  it('ends for silence, for talk without a login, and for a line without end', async () => {
    const silent = open(submission())
    silent.clock.advance(limits.idleMillisecondsMax + 1)
    silent.dialogue.tick()
    assert.match(silent.heard.said, /451 authup timeout/)
    const talker = open(submission())
    assert.match(await talker.say('NOOP\r\n'.repeat(limits.commandsMax + 1)), /421 authup too many commands/)
    const endless = open(submission())
    assert.match(await endless.say('x'.repeat(limits.saslLineBytesMax + 1)), /500 authup line too long/)
    for (const { heard } of [silent, talker, endless]) assert.equal(heard.closed, 'refused')
  })

  it('a session that cannot be had is a temporary failure, and counts as no guess', async () => {
    const accepted: AuthStep = { kind: 'accepted', account: 'joe@lab.test', ticket: 't'.repeat(32) }
    const { say, secure, heard } = open(submission(), { answers: [accepted], triesMax: 1 })
    secure()
    assert.match(await say(`AUTH PLAIN ${plain}\r\n`), /^454 authup unable to check/)
    assert.equal(heard.closed, '')
    assert.equal(heard.taken, false)
  })

  it('says goodbye when it is to stop', () => {
    const { dialogue, heard } = open(submission())
    dialogue.shutdown()
    assert.match(heard.said, /421 shutting down/)
    assert.equal(heard.closed, 'refused')
  })
})

describe('POP3 before its login', () => {
  it('takes neither USER nor AUTH in clear, and says so in CAPA', async () => {
    const { say, heard } = open(pop3())
    assert.equal(heard.said, '+OK lab.test\r\n')
    const clear = await say('CAPA\r\n')
    assert.match(clear, /\r\nSTLS\r\n/)
    assert.doesNotMatch(clear, /USER|SASL/)
    for (const line of ['USER joe', 'PASS secret', 'AUTH PLAIN'])
      assert.match(await say(`${line}\r\n`), /^-ERR .*TLS first/)
  })

  it('makes USER and PASS one exchange; the password may have spaces', async () => {
    const { say, secure, attempts, clock, heard } = open(pop3(), { triesMax: 3 })
    secure()
    assert.match(await say('CAPA\r\n'), /\r\nUSER\r\n.*SASL PLAIN LOGIN\r\n/s)
    assert.match(await say('PASS x\r\n'), /^-ERR .*USER first/)
    assert.equal(await say('USER joe\r\n'), '+OK \r\n')
    assert.equal(await say('PASS two  words \r\n'), '')
    assert.equal(attempts[0]?.initial, '\0joe\0two  words ')
    clock.advance(1000)
    assert.match(heard.said, /^-ERR \[AUTH\] /)
    // The name is asked for again.
    assert.match(await say('PASS x\r\n'), /USER first/)
  })

  it('forgets a name that was said before STLS', async () => {
    const { say, secure } = open(pop3())
    await say('STLS\r\nUSER joe\r\nPASS x\r\n')
    secure()
    assert.match(await say('PASS x\r\n'), /USER first/)
  })
})
