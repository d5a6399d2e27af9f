import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { homeAt, type Home } from '../home/layout.ts'
import { compileRules } from './compile.ts'
import { decideConnection } from './decision.ts'
import { rulePaths } from './files.ts'
import { RulesKeeper } from './keep-compiled.ts'
import { migrateRules } from './migrate.ts'
import { RulesFile } from './rules-file.ts'

let parent = ''
let home: Home
let time = 0
let problems: string[] = []
const clock: Clock = { now: () => time, monotonic: () => time, after: () => () => undefined }
const stranger = { mayRelay: false, isLoopback: false }

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'quaver-rules-'))
  home = homeAt(join(parent, 'home'))
  mkdirSync(join(home.control, 'tcprules'), { recursive: true })
  time = Date.now()
  problems = []
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

/** As if written so many seconds from now. */
function write(text: string, seconds = 0): void {
  const { source } = rulePaths(home, 'smtp')
  writeFileSync(source, text)
  const at = time / 1000 + seconds
  utimesSync(source, at, at)
}

function open(): RulesFile {
  return new RulesFile(home, 'smtp', clock, (problem) => problems.push(problem))
}

function verdict(rules: RulesFile, ip = '192.0.2.1'): string {
  time += 1001
  return decideConnection('smtp', rules.current(), { ip }, stranger).verdict
}

describe('compiling', () => {
  it('makes a cdb that everybody may read, whatever the umask', async () => {
    write('192.0.2.1:deny\n')
    const before = process.umask(0o077)
    try {
      assert.deepEqual(await compileRules(home, 'smtp'), { done: true, value: { rules: 1, idle: [] } })
    } finally {
      process.umask(before)
    }
    assert.equal(statSync(rulePaths(home, 'smtp').cdb).mode & 0o777, 0o644)
    assert.equal(verdict(open()), 'deny')
  })

  it('a fault anywhere leaves the cdb as it was, and names the line', async () => {
    write('192.0.2.1:deny\n')
    await compileRules(home, 'smtp')
    write('192.0.2.1:allow\nbad:line\n')
    const outcome = await compileRules(home, 'smtp')
    assert.ok(outcome?.done === false)
    assert.equal(outcome.failure.class, 5)
    assert.match(
      outcome.failure.logText,
      /^control\/tcprules\/smtp: line 2 has neither ':allow' nor ':deny': "bad:line"$/,
    )
    assert.equal(verdict(open()), 'deny')
  })

  it('nothing half-made is left when the disk refuses', async () => {
    write(':deny\n')
    await compileRules(home, 'smtp')
    const before = readFileSync(rulePaths(home, 'smtp').cdb)
    write(':allow\n')
    for (const step of ['create', 'rename', 'syncDirectory'] as const) {
      const failing = { ...realFiles, [step]: () => Promise.reject(new Error('no space left')) }
      const outcome = await compileRules(home, 'smtp', failing)
      assert.ok(outcome?.done === false)
      assert.equal(outcome.failure.class, 4)
      if (step !== 'syncDirectory') assert.deepEqual(readFileSync(rulePaths(home, 'smtp').cdb), before)
    }
  })

  it('without a source there is nothing to do', async () => {
    assert.equal(await compileRules(home, 'pop3'), undefined)
  })
})

describe('reading', () => {
  it('a changed cdb counts within a second', async () => {
    write(':deny\n')
    await compileRules(home, 'smtp')
    const rules = open()
    assert.equal(verdict(rules), 'deny')
    write(':allow\n')
    await compileRules(home, 'smtp')
    assert.equal(verdict(rules), 'allow')
    assert.deepEqual(problems, [])
  })

  it('a source that was never compiled lets nobody in, and says so once', () => {
    write(':allow\n')
    const rules = open()
    assert.equal(verdict(rules), 'unknown')
    assert.equal(verdict(rules), 'unknown')
    assert.equal(problems.length, 1)
  })

  it('an unreadable cdb leaves the rules before it in force; at first it lets nobody in', async () => {
    write(':deny\n')
    await compileRules(home, 'smtp')
    const rules = open()
    assert.equal(verdict(rules), 'deny')
    writeFileSync(rulePaths(home, 'smtp').cdb, 'rubbish')
    assert.equal(verdict(rules), 'deny')
    assert.equal(verdict(rules), 'deny')
    assert.equal(problems.length, 1)
    assert.equal(verdict(open()), 'unknown')
  })

  it('an outdated cdb stays in force, and that is said once', async () => {
    write(':deny\n', -100)
    await compileRules(home, 'smtp')
    const { cdb } = rulePaths(home, 'smtp')
    utimesSync(cdb, time / 1000 - 90, time / 1000 - 90)
    write(':allow\n', -60)
    const rules = open()
    assert.equal(verdict(rules), 'deny')
    assert.equal(verdict(rules), 'deny')
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', /newer than/)
  })

  it('defaults: strangers wait, loopback does not, who may relay does; other services want TLS', () => {
    const rules = open().current()
    const settings = (service: 'smtp' | 'pop3', client: typeof stranger): string => {
      return decideConnection(service, rules, { ip: '192.0.2.1' }, client).text
    }
    assert.equal(settings('smtp', stranger), 'allow GREETDELAY="2"')
    assert.equal(settings('smtp', { mayRelay: false, isLoopback: true }), 'allow')
    assert.equal(settings('smtp', { mayRelay: true, isLoopback: true }), 'allow RELAYCLIENT=""')
    assert.equal(settings('pop3', stranger), 'allow UCSPITLS="!"')
  })
})

describe('keeping compiled', () => {
  it('compiles what is outdated, then what changes and has settled; a fault is told once', async () => {
    const told: string[] = []
    const events = { compiled: (text: string) => told.push(text), fault: (text: string) => told.push(text) }
    const keeper = new RulesKeeper(home, events, clock)
    write(':deny\n')
    await keeper.look(false)
    assert.equal(verdict(open()), 'deny')
    await keeper.look(true)
    assert.equal(told.length, 1)

    write(':allow\n')
    time += 500
    await keeper.look(true)
    assert.equal(verdict(open()), 'deny')
    time += 1000
    await keeper.look(true)
    assert.equal(verdict(open()), 'allow')

    // An older file put in place is a change too.
    write(':deny,X="1"\n', -1000)
    await keeper.look(true)
    assert.equal(verdict(open()), 'deny')
    write('bad:line\n', -5)
    await keeper.look(true)
    await keeper.look(true)
    assert.equal(verdict(open()), 'deny')
    assert.equal(told.length, 4)
  })

  it('leaves a cdb alone that is not outdated', async () => {
    write(':deny\n', -100)
    await compileRules(home, 'smtp')
    const before = statSync(rulePaths(home, 'smtp').cdb).ino
    const told: string[] = []
    const events = { compiled: (text: string) => told.push(text), fault: (text: string) => told.push(text) }
    await new RulesKeeper(home, events, clock).look(false)
    assert.equal(statSync(rulePaths(home, 'smtp').cdb).ino, before)
    assert.deepEqual(told, [])
  })
})

describe('migration', () => {
  it('takes each old file once, /etc/qmail before /etc, and never over what is there', async () => {
    const old = [join(parent, 'etc/qmail'), join(parent, 'etc')]
    mkdirSync(old[0] ?? '', { recursive: true })
    writeFileSync(join(parent, 'etc/qmail/tcp.smtp'), '127.:allow,RELAYCLIENT=""\n')
    writeFileSync(join(parent, 'etc/tcp.smtp'), ':deny\n')
    writeFileSync(join(parent, 'etc/tcp.pop3'), ':allow\n')
    writeFileSync(join(parent, 'etc/tcp.ofmip'), ':allow\n')
    writeFileSync(rulePaths(home, 'ofmip').source, ':deny\n')
    const taken = await migrateRules(home, old)
    assert.deepEqual(
      taken.map(({ to }) => to),
      ['control/tcprules/smtp', 'control/tcprules/pop3'],
    )
    assert.equal(readFileSync(rulePaths(home, 'smtp').source, 'latin1'), '127.:allow,RELAYCLIENT=""\n')
    assert.equal(readFileSync(rulePaths(home, 'ofmip').source, 'latin1'), ':deny\n')
    // The administrator goes back to the defaults: they stay.
    rmSync(rulePaths(home, 'smtp').source)
    assert.deepEqual(await migrateRules(home, old), [])
    assert.equal(statSync(join(parent, 'etc/qmail/tcp.smtp')).size, 26)
  })

  it('makes a directory that everybody may read, whatever the umask', async () => {
    const old = join(parent, 'etc')
    mkdirSync(old)
    writeFileSync(join(old, 'tcp.smtp'), ':allow\n')
    const directory = join(home.control, 'tcprules')
    rmSync(directory, { recursive: true })
    const before = process.umask(0o077)
    try {
      await migrateRules(home, [old])
    } finally {
      process.umask(before)
    }
    assert.equal(statSync(directory).mode & 0o777, 0o755)
    assert.equal(statSync(rulePaths(home, 'smtp').source).mode & 0o777, 0o644)
  })
})
