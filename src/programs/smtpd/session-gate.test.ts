/** Sessions whose plug-ins run in process: what they see, and what becomes of what they say. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ScriptedSession, type World } from '../../../test/kit/smtpd.ts'
import { SppSession } from './plug-ins/session.ts'
import { type Command, parseCommand } from '../../protocols/spp/command.ts'
import { parsePlugIns } from '../../protocols/spp/plug-ins.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import { ClientLists } from './client-lists.ts'
import { SessionGate } from './session-gate.ts'

/** Gets the environment and the stage, gives what a program of this name would print. */
type PlugIn = (environment: Environment, stage: string) => readonly string[]

const envelope = ['MAIL FROM:<a@b.example>', 'RCPT TO:<joe@lab.test.example>']
const nobody = { tell: () => undefined, log: () => undefined, explains: false }
const lists = { lists: [], listsFrom: 'test', refusedFromScore: 0, fieldName: undefined }

function gateOf(file: string, plugIns: Readonly<Record<string, PlugIn>>): (environment: Environment) => SessionGate {
  return (environment) => {
    const tools = {
      executor: { run: () => Promise.resolve({ how: 'not-run', code: 0, detail: '' } as const) },
      builtIn: (name: string) => {
        const plugIn = plugIns[name]
        const said = (lines: readonly string[]): Command[] =>
          lines.map((line) => parseCommand(line)).filter((command) => command !== undefined)
        return plugIn && ((seen: Environment, stage: string) => Promise.resolve(said(plugIn(seen, stage))))
      },
    }
    const policy = { dnsbl: () => Promise.resolve({ answered: false, why: 'test' } as const) }
    const spp = new SppSession(parsePlugIns(file.split(' ')), environment, tools)
    return new SessionGate(new ClientLists(environment, true, lists, policy), spp, [], 'test', nobody, () => undefined)
  }
}

function sessionWith(file: string, plugIns: Readonly<Record<string, PlugIn>>, world: World = {}): ScriptedSession {
  return new ScriptedSession({ tls: true, ...world, gate: gateOf(file, plugIns) })
}

async function say(session: ScriptedSession, ...lines: string[]): Promise<string> {
  return await session.send(lines.map((line) => `${line}\r\n`).join(''))
}

function startTls(session: ScriptedSession): void {
  session.session.tlsStarted({ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' })
}

describe('what plug-ins learnt in clear text is forgotten when TLS has begun', () => {
  it('names, variables and the right to relay', async () => {
    const seen: (readonly (string | undefined)[])[] = []
    const session = sessionWith('[helo] helo [mail] mail', {
      helo: () => ['SMARK=evil', 'SRELAYCLIENT=', 'UTCPREMOTEIP', 'LM550 saved'],
      mail(environment) {
        seen.push(['SMTPHELOHOST', 'MARK', 'RELAYCLIENT', 'TCPREMOTEIP'].map((name) => environment.get(name)))
        return []
      },
    })
    await say(session, 'EHLO evil', 'STARTTLS')
    startTls(session)
    assert.match(await say(session, envelope[0] ?? '', 'RCPT TO:<x@elsewhere.example>'), /^250 ok\r\n553 /)
    assert.deepEqual(seen, [[undefined, undefined, undefined, '192.0.2.9']])
  })

  it('that they were switched off', async () => {
    const session = sessionWith('[helo] off [mail] no', { off: () => ['A'], no: () => ['E550 no'] })
    await say(session, 'EHLO evil', 'STARTTLS')
    startTls(session)
    assert.equal(await say(session, 'MAIL FROM:<a@b.example>'), '550 no\r\n')
  })

  it('and those of the connection say again what holds, knowing of TLS', async () => {
    const session = sessionWith('[connection] early [mail] mail', {
      early: (environment) => ['P220 hello', `SEARLY=${environment.get('SSL_PROTOCOL') ?? 'clear'}`],
      mail: (environment) => [`E550 ${environment.get('EARLY')}`],
    })
    await session.settle()
    await say(session, 'EHLO x', 'STARTTLS')
    startTls(session)
    assert.equal(await say(session, 'MAIL FROM:<a@b.example>'), '550 TLSv1.3\r\n')
  })

  it('their refusal then is the last word, and what stands for the greeting is not said', async () => {
    const cases: readonly [says: string, output: string, closed: boolean][] = [
      ['E554 no', '554 no\r\n', true],
      ['R421 no', '421 no\r\n', true],
      ['D', '', true],
      ['E220 other.example ESMTP', '', false],
    ]
    for (const [says, output, closed] of cases) {
      const session = sessionWith('[connection] early', {
        early: (environment) => (environment.has('SSL_PROTOCOL') ? ['P220 hello', says] : []),
      })
      await session.settle()
      await say(session, 'EHLO x', 'STARTTLS')
      const before = session.output.length
      startTls(session)
      await session.settle()
      assert.deepEqual([session.output.slice(before), session.closed], [output, closed], says)
      if (!closed) assert.equal(await say(session, 'NOOP'), '250 ok\r\n')
    }
  })

  it('but not whom a listed peer announced', async () => {
    const file = '[mail] mail'
    const plugIns: Record<string, PlugIn> = {
      mail: (environment) => [`E550 ${environment.get('TCPREMOTEIP')} ${environment.get('SSL_PROTOCOL')}`],
    }
    const session = sessionWith(file, plugIns, {
      announce(client) {
        const environment = new Map([['TCPREMOTEIP', client.get('ADDR') ?? '']])
        return { environment, gate: gateOf(file, plugIns)(environment), announce: undefined }
      },
    })
    await say(session, 'EHLO front', 'XCLIENT ADDR=192.0.2.7', 'EHLO x', 'STARTTLS')
    startTls(session)
    assert.equal(await say(session, 'MAIL FROM:<a@b.example>'), '550 192.0.2.7 TLSv1.3\r\n')
  })
})

describe('plug-ins of DATA, and filters, know of the recipients', () => {
  const names = ['SMTPRCPTTO', 'SMTPRCPTCOUNT', 'SMTPRCPTCOUNTALL', 'SMTPRCPTHOSTSOK']
  const told = (environment: Environment): string => names.map((name) => environment.get(name) ?? 'absent').join(' ')

  async function atData(file: string, recipients: readonly string[], listed = false): Promise<string[]> {
    const seen: string[] = []
    const see = (environment: Environment): readonly string[] => {
      seen.push(told(environment))
      return []
    }
    const plugIns = { see, fussy, once: () => ['LR550 once'] }
    const session = sessionWith(file, plugIns, { environment: listed ? { RBLSMTPD: 'go away' } : {} })
    await say(session, 'MAIL FROM:<a@b.example>', ...recipients.map((recipient) => `RCPT TO:<${recipient}>`), 'DATA')
    return seen
  }

  function fussy(environment: Environment): readonly string[] {
    return environment.get('SMTPRCPTTO')?.startsWith('no') === true ? ['E550 no'] : []
  }

  it('though none is asked at RCPT', async () => {
    assert.deepEqual(await atData('[data] see', ['joe@lab.test.example']), ['joe@lab.test.example 0 1 1'])
    const three = ['joe@lab.test.example', 'x@elsewhere.example', 'mary@lab.test.example']
    assert.deepEqual(await atData('[data] see', three), ['mary@lab.test.example 1 3 1'])
    assert.deepEqual(await atData('[data] see', three.slice(0, 2)), ['x@elsewhere.example 1 2 0'])
  })

  it('whom a plug-in, an error saved or a list refused, and postmaster, among them', async () => {
    const two = ['joe@lab.test.example', 'postmaster@lab.test.example']
    assert.deepEqual(await atData('[rcpt] fussy [data] see', two), ['postmaster@lab.test.example 1 2 1'])
    assert.deepEqual(await atData('[rcpt] fussy [data] see', [...two, 'no@lab.test.example']), [
      'no@lab.test.example 2 3 1',
    ])
    const again = ['joe@lab.test.example', 'mary@lab.test.example']
    assert.deepEqual(await atData('[rcpt] once [data] see', again), ['mary@lab.test.example 1 2 1'])
    assert.deepEqual(await atData('[data] see', two.toReversed(), true), ['joe@lab.test.example 1 2 1'])
  })

  it('those of this transaction only', async () => {
    const seen: string[] = []
    const see = (environment: Environment): readonly string[] => {
      seen.push(told(environment))
      return []
    }
    const session = sessionWith('[mail] see', { see })
    await say(session, ...envelope, ...envelope)
    assert.deepEqual(seen, Array<string>(2).fill('absent absent absent absent'))
  })
})

describe('lines that plug-ins print', () => {
  const print: Readonly<Record<string, PlugIn>> = {
    hello: () => ['P250-hello', 'P550 again', 'Pno code'],
    no: () => ['E553 no'],
    bye: () => ['R421 bye'],
    save: () => ['LD451 later', 'LD554 at last'],
  }
  const codesOf = (output: string): readonly string[] => output.split('\r\n').map((line) => line.slice(0, 4))

  it('are of the reply that they are part of, and have its code', async () => {
    const greeted = sessionWith('[connection] hello', print)
    await greeted.settle()
    assert.equal(greeted.output, '220-hello\r\n220-again\r\n220-no code\r\n220 lab.test.example ESMTP\r\n')
    const cases: readonly [file: string, commands: readonly string[], codes: readonly string[]][] = [
      ['[helo] hello', ['HELO x'], ['250-', '250-', '250-', '250 ']],
      ['[mail] hello no', envelope.slice(0, 1), ['553-', '553-', '553-', '553 ']],
      ['[mail] hello bye', envelope.slice(0, 1), ['421-', '421-', '421-', '421 ']],
      ['[rcpt] hello', ['MAIL FROM:<>', 'RCPT TO:<x@elsewhere.example>'], ['250 ', '553-', '553-', '553-', '553 ']],
      ['[data] hello', [...envelope, 'DATA'], ['250 ', '250 ', '354-', '354-', '354-', '354 ']],
      ['[rcpt] save [data] hello', [...envelope, 'DATA'], ['250 ', '250 ', '554-', '554 ']],
    ]
    for (const [file, commands, codes] of cases) {
      const session = sessionWith(file, print)
      await session.settle()
      const output = await say(session, ...commands)
      assert.deepEqual(codesOf(output), [...codes, ''], `${file} ${commands.at(-1)}`)
    }
  })
})
