/** The programs that read and write files of a home. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import { callProgram, type CallEnd } from '#test/kit/qmail-call.ts'
import type { Program } from './call.ts'
import { newmrh, newu } from './compile.ts'
import { getpw } from './getpw.ts'
import { maildirmake } from './maildirmake.ts'
import { pw2u } from './pw2u.ts'
import { showctl } from './showctl.ts'

const base = mkdtempSync(join(tmpdir(), 'quaver-qmail-files-'))
after(() => rmSync(base, { recursive: true }))
let home = ''
let numbered = 0
beforeEach(() => {
  home = join(base, String(numbered++))
  for (const name of ['control', 'users']) mkdirSync(join(home, name), { recursive: true })
})

const write = (name: string, text: string): void => writeFileSync(join(home, name), text, 'latin1')
const run = (program: Program, name: string, args: readonly string[] = [], input = ''): Promise<CallEnd> =>
  callProgram(program, { name, home, args, input })

describe('qmail-newu', () => {
  it('compiles users/assign, or says which line is wrong and leaves the cdb', async () => {
    write('users/assign', '=joe:joe:1:2:/h:::\n.\n')
    assert.deepEqual(
      [(await run(newu, 'qmail-newu')).code, readdirSync(join(home, 'users')).sort()],
      [0, ['assign', 'cdb']],
    )
    const before = readFileSync(join(home, 'users/cdb'))
    write('users/assign', '=joe:joe:1:2:/h:::\n')
    const end = await run(newu, 'qmail-newu')
    assert.equal(end.code, 111)
    assert.match(end.stderr, /^qmail-newu: fatal: bad format in users\/assign: line 2 .*\n$/)
    assert.deepEqual(readFileSync(join(home, 'users/cdb')), before)
  })
})

describe('qmail-newmrh', () => {
  it('compiles control/morercpthosts', async () => {
    write('control/morercpthosts', '# more\nHost.Test \t\n.suffix.test\n\n')
    assert.equal((await run(newmrh, 'qmail-newmrh')).code, 0)
    const reader = new CdbReader(readFileSync(join(home, 'control/morercpthosts.cdb')))
    assert.deepEqual([...reader.keys()], ['host.test', '.suffix.test'])
  })

  it('says what is missing', async () => {
    const end = await run(newmrh, 'qmail-newmrh')
    assert.deepEqual(
      [end.code, end.stderr],
      [111, 'qmail-newmrh: fatal: unable to read control/morercpthosts: file does not exist\n'],
    )
  })
})

describe('qmail-pw2u', () => {
  const { uid } = statSync(base)
  // Whoever runs the test may be root, whose mail no assignment is for.
  const passwd = [
    'root:x:0:0:root:/root:/bin/sh',
    'joe:x:1001:1001:Joe:/h/joe:/bin/sh',
    'Big:x:1002:1002::/h/big:/bin/sh',
    'alias:x:7790:2108::/q/alias:/bin/true',
    'not a line',
    '',
  ].join('\n')

  it('makes users/assign of passwd', async () => {
    const end = await run(pw2u, 'qmail-pw2u', ['-H'], passwd)
    assert.equal(
      end.stdout,
      [
        '=joe:joe:1001:1001:/h/joe:::',
        '+joe-:joe:1001:1001:/h/joe:-::',
        '+:alias:7790:2108:/q/alias:-::',
        '=alias:alias:7790:2108:/q/alias:::',
        '+alias-:alias:7790:2108:/q/alias:-::',
        '.',
        '',
      ].join('\n'),
    )
  })

  it('heeds the files beside it and its options', async () => {
    write('users/include', 'joe\nBig\nalias\n')
    write('users/exclude', 'alias\n')
    write('users/mailnames', 'joe:joseph:j\n')
    write('users/subusers', 'list:joe:li:\nno:joe:third colon missing\nlost:nobody:x:\n')
    write('users/append', '=extra:e:1:1:/e:::\n')
    const end = await run(pw2u, 'qmail-pw2u', ['-Hu', '-c.'], passwd)
    assert.equal(
      end.stdout,
      [
        '=joseph:joe:1001:1001:/h/joe:::',
        '+joseph.:joe:1001:1001:/h/joe:-::',
        '=j:joe:1001:1001:/h/joe:::',
        '+j.:joe:1001:1001:/h/joe:-::',
        '=Big:Big:1002:1002:/h/big:::',
        '+Big.:Big:1002:1002:/h/big:-::',
        '=list:joe:1001:1001:/h/joe:-:li:',
        '+list.:joe:1001:1001:/h/joe:-:li-:',
        '=extra:e:1:1:/e:::',
        '.',
        '',
      ].join('\n'),
    )
  })

  it('skips who does not own a home, or says so', async () => {
    const other = uid === 0 ? 1001 : uid + 1
    assert.equal((await run(pw2u, 'qmail-pw2u', [], `joe:x:${other}:1::${base}:/bin/sh\n`)).stdout, '.\n')
    const end = await run(pw2u, 'qmail-pw2u', ['-h'], 'joe:x:1001:1::/no/such:/bin/sh\n')
    assert.deepEqual(
      [end.code, end.stderr],
      [111, 'qmail-pw2u: fatal: unable to stat /no/such for user joe: file does not exist\n'],
    )
  })
})

describe('qmail-getpw', () => {
  it('splits at the break, and gives what nobody has to alias or to exit code 116', async () => {
    assert.equal((await run(getpw, 'qmail-getpw')).code, 100)
    write('control/roles', 'alias:no-such-account\n')
    assert.equal((await run(getpw, 'qmail-getpw', ['root'])).code, 116)
    write('control/roles', 'alias:nobody\n')
    const end = await run(getpw, 'qmail-getpw', ['no-such-User'])
    assert.match(end.stdout, /^nobody\0\d+\0\d+\0[^\0]+\/alias\0-\0no-such-User\0$/)
  })
})

describe('qmail-showctl', () => {
  it('says what each file says, and which it does not know', async () => {
    write('control/me', 'me.test\n')
    write('control/rcpthosts', 'a.test\nb.test\n')
    write('control/strange', 'x\n')
    const { code, stdout } = await run(showctl, 'qmail-showctl')
    assert.equal(code, 0)
    assert.match(stdout, /^qmail home directory: .*\.\n/)
    assert.match(stdout, /\nrcpthosts: .*\na\.test\nb\.test\n\n/)
    assert.match(stdout, /\nbouncefrom: \(Default\.\) .*MAILER-DAEMON/)
    assert.match(stdout, /\nstrange: I have no idea what this file does\.\n/)
  })
})

describe('maildirmake', () => {
  it('makes a Maildir for the caller alone, once', async () => {
    const path = join(home, 'Maildir')
    assert.equal((await run(maildirmake, 'maildirmake', [path])).code, 0)
    assert.deepEqual(readdirSync(path).sort(), ['cur', 'new', 'tmp'])
    assert.equal(statSync(join(path, 'new')).mode & 0o777, 0o700)
    const again = await run(maildirmake, 'maildirmake', [path])
    assert.deepEqual(
      [again.code, again.stderr],
      [111, `maildirmake: fatal: unable to mkdir ${path}: file already exists\n`],
    )
    assert.equal((await run(maildirmake, 'maildirmake')).code, 100)
  })
})
