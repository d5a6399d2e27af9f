/** Programs that become another, on descriptors, name servers and a successor that are handed in. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Answer } from '../../clients/dns/dns.ts'
import { callProgram, type CallSetup } from '#test/kit/qmail-call.ts'
import { launcher } from '#test/kit/programs.ts'
import { without } from '#test/kit/tool.ts'
import type { Program } from './call.ts'
import { checknotroot, fixsmtpio, greetdelay } from './front-programs.ts'
import { popup } from './popup.ts'
import { lookUp, rblsmtpd } from './rblsmtpd.ts'
import { variablesFor } from './tcp-env.ts'
import { tcprules, tcprulescheck } from './tcprules.ts'

/** Exit code, words, and what it became. */
async function say(program: Program, setup: CallSetup): Promise<string> {
  let became = ''
  const { code, stdout, stderr } = await callProgram(program, {
    become(command) {
      became = ` became ${command.join(' ')}`
      return { kind: 'exit', code: 7 }
    },
    ...setup,
  })
  return `${code} ${stdout}${stderr}`.trimEnd() + became
}

describe('programs in front of another', () => {
  it('checknotroot runs it, but not as root', async () => {
    const call = { name: 'checknotroot', args: ['pop3d', 'Maildir'] }
    assert.equal(await say(checknotroot, call), '7 became pop3d Maildir')
    assert.equal(await say(checknotroot, { ...call, uid: 0 }), '1 checknotroot: WAS RUNNING AS ROOT, TERMINATING')
    assert.equal(
      await say(checknotroot, { ...call, args: [] }),
      '100 checknotroot: usage: checknotroot program [ arg ... ]',
    )
    assert.equal(
      await say(checknotroot, { ...call, become: () => ({ kind: 'absent', error: 'ENOENT' }) }),
      '111 checknotroot: fatal: unable to run pop3d: file does not exist',
    )
  })

  it('greetdelay sends away who talks first, but nobody who may relay', async () => {
    const call = { name: 'greetdelay', args: ['--', 'smtpd'], variables: { GREETDELAY: '2', TCPREMOTEIP: '192.0.2.1' } }
    assert.equal(await say(greetdelay, call), '7 became smtpd')
    assert.equal(
      await say(greetdelay, { ...call, input: 'HELO x\r\n' }),
      '111 554 smtp protocol violation (#5.5.1)\r\ngreetdelay: 192.0.2.1 pid 1: premature input on stdin',
    )
    for (const variables of [{ ...call.variables, RELAYCLIENT: '' }, { GREETDELAY: '0' }, { GREETDELAY: 'soon' }, {}])
      assert.equal(await say(greetdelay, { ...call, input: 'HELO x\r\n', variables }), '7 became smtpd')
  })

  it('fixsmtpio is in front of qmail-smtpd, and of nothing else', async () => {
    const call = { name: 'fixsmtpio', args: ['/var/qmail/bin/qmail-smtpd'] }
    assert.equal(await say(fixsmtpio, call), '7 became /var/qmail/bin/qmail-smtpd')
    const other = { ...call, args: ['ofmipd', 'x'] }
    assert.match(await say(fixsmtpio, other), /^111 fixsmtpio: fatal: .*not of ofmipd$/)
    assert.equal(await say(fixsmtpio, { ...other, variables: { NOFIXSMTPIO: '' } }), '7 became ofmipd x')
  })
})

describe('rblsmtpd', () => {
  const call = { name: 'rblsmtpd', args: ['-t', '0', 'smtpd'] }

  it('goes by RBLSMTPD', async () => {
    assert.equal(
      await say(rblsmtpd, { ...call, variables: { RBLSMTPD: '', TCPREMOTEIP: '192.0.2.1' } }),
      '7 became smtpd',
    )
    const blocked = (text: string): Promise<string> =>
      say(rblsmtpd, { ...call, variables: { RBLSMTPD: text, TCPREMOTEIP: '192.0.2.1' } })
    assert.equal(await blocked('-no'), '0 553 no\r\nrblsmtpd: 192.0.2.1 pid 1: 553 no')
    assert.equal(await blocked('later\x01'), '0 451 later?\r\nrblsmtpd: 192.0.2.1 pid 1: 451 later?')
    // Nobody to ask about.
    assert.equal(await say(rblsmtpd, call), '7 became smtpd')
    assert.match(await say(rblsmtpd, { ...call, args: ['-r', 'x'] }), /^100 rblsmtpd: usage: /)
  })

  it('asks the lists in their order, and heeds the first that says something', async () => {
    const asked: string[] = []
    const answers: Readonly<Record<string, Answer<string>>> = {
      '1.2.0.192.listed.test': { kind: 'found', values: ['127.0.0.2'] },
      '1.2.0.192.allowed.test': { kind: 'found', values: ['127.0.0.9'] },
      '1.2.0.192.refusing.test': { kind: 'found', values: ['127.255.255.254'] },
      '1.2.0.192.down.test': { kind: 'soft', why: 'SERVFAIL' },
    }
    const dns = {
      a(name: string): Promise<Answer<string>> {
        asked.push(name.replace('1.2.0.192.', ''))
        return Promise.resolve(answers[name] ?? { kind: 'hard' })
      },
      txt: (): Promise<Answer<string>> => Promise.resolve({ kind: 'found', values: ['see \x07there'] }),
    }
    const look = async (...words: string[]): Promise<string> => {
      const options = words.map((word) => ({ letter: word.charAt(0), value: word.slice(1) }))
      const block = await lookUp(dns, [192, 0, 2, 1], options)
      return block === undefined ? 'clear' : `${block.code} ${block.text}`
    }
    assert.equal(await look('rnone.test', 'rlisted.test', 'rother.test'), '451 see ?there')
    assert.deepEqual(asked, ['none.test', 'listed.test'])
    assert.equal(await look('b', 'rlisted.test'), '553 see ?there')
    assert.equal(await look('aallowed.test', 'rlisted.test'), 'clear')
    assert.equal(await look('rrefusing.test'), 'clear')
    assert.equal(await look('rdown.test'), 'clear')
    assert.equal(await look('b', 'rdown.test', 'rlisted.test'), '451 see ?there')
    assert.equal(await look('c', 'rdown.test', 'rlisted.test'), '451 temporary RBL lookup error')
  })
})

it('tcp-env says both ends, and their names where there are some', async () => {
  const names: Readonly<Record<string, Answer<string>>> = {
    '1.2.0.192.in-addr.arpa': { kind: 'found', values: ['Host.Test.'] },
    '2.2.0.192.in-addr.arpa': { kind: 'soft', why: 'no answer' },
  }
  const dns = { ptr: (name: string) => Promise.resolve(names[name] ?? { kind: 'hard' as const }) }
  const remote = { address: [...Array.from({ length: 10 }, () => 0), 255, 255, 192, 0, 2, 1], port: 1024 }
  const local = { address: [192, 0, 2, 2], port: 25 }
  const given = new Map([
    ['TCPREMOTEHOST', 'somebody'],
    ['TCPREMOTEINFO', 'root'],
    ['HOME', '/'],
  ])
  assert.deepEqual(Object.fromEntries(await variablesFor(given, { local, remote }, dns)), {
    HOME: '/',
    PROTO: 'TCP',
    TCPLOCALIP: '192.0.2.2',
    TCPLOCALPORT: '25',
    TCPLOCALHOST: 'softdnserror',
    TCPREMOTEIP: '192.0.2.1',
    TCPREMOTEPORT: '1024',
    TCPREMOTEHOST: 'host.test',
  })
})

describe('qmail-popup', () => {
  const args = ['h.test', 'check', 'pop3d']
  const session = (input: string, setup: Partial<CallSetup> = {}): Promise<string> =>
    say(popup, { name: 'qmail-popup', args, now: 5000, pid: 9, input, ...setup })

  it('gives the check what the client said, once', async () => {
    const checks: string[] = []
    const runCheck = (command: readonly string[], secret: string) => {
      checks.push(`${command.join(' ')}: ${secret.replaceAll('\0', '|')}`)
      return { kind: 'exit', code: 0 } as const
    }
    const ok = '+OK <9.5@h.test>\r\n'
    assert.equal(await session('user joe\r\nPASS  a b\r\nNOOP\r\n', { runCheck }), `1 ${ok}+OK`)
    assert.equal(await session('APOP joe c4c9\r\n', { runCheck }), `1 ${ok}`.trimEnd())
    assert.deepEqual(checks, ['check pop3d: joe| a b|<9.5@h.test>|', 'check pop3d: joe|c4c9|<9.5@h.test>|'])
  })

  it('refuses in qmail-popup’s words', async () => {
    const replies = async (input: string, setup: Partial<CallSetup> = {}): Promise<string[]> =>
      (await session(input, setup)).split('\r\n').slice(1)
    assert.deepEqual(await replies('STAT\nUSER\nPASS x\nAPOP joe\nNOOP\nQUIT\nUSER x\n'), [
      '-ERR authorization first',
      '-ERR syntax error',
      '-ERR USER first',
      '-ERR syntax error',
      '+OK ',
      '+OK',
    ])
    const login = 'USER joe\r\nPASS x\r\n'
    assert.deepEqual(await replies(login), ['+OK ', '-ERR authorization failed'])
    assert.deepEqual(await replies(login, { runCheck: () => ({ kind: 'crash' }) }), [
      '+OK ',
      '-ERR aack, child crashed',
    ])
    assert.deepEqual(await replies('x'.repeat(300)), [])
    assert.equal(await session('', { args: ['h.test'] }), '1 -ERR usage: popup hostname subprogram')
  })
})

describe('with files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-front-'))
  after(() => rmSync(directory, { recursive: true, force: true }))

  it('tcprules makes what tcpserver asks, and tcprulescheck says it', { skip: without('tcprules') }, async () => {
    const input = '127.:allow,RELAYCLIENT="",A="b"\n10.0.0.1-3:deny\n=.x.test:allow\n:allow,C="d"\n'
    const at = (name: string): string => join(directory, name)
    spawnSync('tcprules', [at('theirs'), at('tmp')], { input })
    assert.equal(await say(tcprules, { name: 'tcprules', args: [at('ours'), at('tmp')], input }), '0')
    const told = (cdb: string, ip: string): Promise<string> =>
      say(tcprulescheck, { name: 'tcprulescheck', args: [at(cdb)], variables: { TCPREMOTEIP: ip } })
    for (const ip of ['127.0.0.1', '10.0.0.2', '192.0.2.1']) {
      const { stdout } = spawnSync('tcprulescheck', [at('ours')], { env: { ...process.env, TCPREMOTEIP: ip } })
      assert.equal(await told('theirs', ip), `0 ${String(stdout)}`.trimEnd())
    }
    const wrong = await say(tcprules, { name: 'tcprules', args: [at('ours'), at('tmp')], input: '1.2.3.4:permit\n' })
    assert.match(wrong, /^100 tcprules: fatal: unable to parse this line: 1\.2\.3\.4:permit\n/)
    assert.deepEqual(readdirSync(directory).toSorted(), ['ours', 'theirs'])
    assert.match(await told('none', ''), /^111 tcprulescheck: fatal: unable to read .*none: file does not exist$/)
  })

  it('a program is found as execvp finds it, a script without #! too', () => {
    const bin = join(directory, 'bin')
    mkdirSync(bin)
    symlinkSync(launcher, join(bin, 'greetdelay'))
    writeFileSync(join(bin, 'plain'), 'echo "$GIVEN $*"; exit 3\n')
    chmodSync(join(bin, 'plain'), 0o755)
    // Directories that this account can enter: one that it cannot is an answer of its own.
    const env = { PATH: `${bin}:/usr/bin:/bin`, GIVEN: 'é' }
    const run = (...args: string[]) => {
      const { status, stdout, stderr } = spawnSync(join(bin, 'greetdelay'), args, { env, encoding: 'utf8' })
      return `${status} ${stdout}${stderr}`
    }
    assert.equal(run('plain', 'a b'), '3 é a b\n')
    assert.equal(run('sh', '-c', 'kill -PIPE $$; echo alive'), 'null ')
    assert.equal(run('no-such'), '111 greetdelay: fatal: unable to run no-such: file does not exist\n')
    assert.equal(run('/etc'), '111 greetdelay: fatal: unable to run /etc: access denied\n')
  })
})
