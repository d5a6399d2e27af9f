/** Every state of a home and of a `.qmail` file: what is said at RCPT is what the delivery would say, of the same class. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { withoutRoot } from '#test/kit/tool.ts'
import { realClock } from '../../system/clock.ts'
import { checkRecipient } from './recipient-check.ts'

const uid = 65_534
const gid = 65_533
const extended = '.qmail-x'

/** What is in place of an ordinary home with a `.qmail-x`, and the class of both answers. */
const states: Readonly<Record<string, [(home: string) => void, 'exists' | 'absent' | 'unknown']>> = {
  ordinary: [() => undefined, 'exists'],
  'no .qmail-x': [(home) => rmSync(join(home, extended)), 'absent'],
  'a directory in its place': [(home) => replace(home, (path) => mkdirSync(path)), 'absent'],
  'a link that leads nowhere': [(home) => replace(home, (path) => symlinkSync('gone', path)), 'absent'],
  'a link to another name': [linked, 'exists'],
  'a loop of links': [(home) => replace(home, (path) => symlinkSync(extended, path)), 'unknown'],
  'mode 000': [(home) => chmodSync(join(home, extended), 0), 'unknown'],
  'everybody may write to it': [(home) => chmodSync(join(home, extended), 0o602), 'unknown'],
  'root’s alone': [(home) => own(join(home, extended), 0, 0o600), 'unknown'],
  'too large': [(home) => writeFileSync(join(home, extended), Buffer.alloc(1_100_000, '#\n')), 'unknown'],
  'a home that is away': [(home) => rmSync(home, { recursive: true }), 'unknown'],
  'a file for a home': [(home) => (rmSync(home, { recursive: true }), writeFileSync(home, '')), 'unknown'],
  'a home that everybody may write to': [(home) => chmodSync(home, 0o703), 'unknown'],
  'a sticky home': [(home) => chmodSync(home, 0o1700), 'unknown'],
  'a closed home': [(home) => chmodSync(home, 0), 'unknown'],
  'root’s home': [(home) => own(home, 0, 0o700), 'unknown'],
  'a home that root has open': [(home) => own(home, 0, 0o755), 'exists'],
  'a home behind a closed directory': [(home) => own(join(home, '..'), 0, 0o700), 'unknown'],
  'a home that root has moved': [moved, 'exists'],
  'a home that is a loop of links': [
    (home) => (rmSync(home, { recursive: true }), symlinkSync('home', home)),
    'unknown',
  ],
}

function replace(home: string, make: (path: string) => void): void {
  rmSync(join(home, extended))
  make(join(home, extended))
}

function own(path: string, owner: number, mode: number): void {
  chownSync(path, owner, owner)
  chmodSync(path, mode)
}

function linked(home: string): void {
  writeFileSync(join(home, 'other'), '&a@b\n')
  replace(home, (path) => symlinkSync('other', path))
}

function moved(home: string): void {
  mkdirSync(join(home, '../new'))
  execFileSync('mv', [home, join(home, '../new/home')])
  symlinkSync('new/home', home)
}

describe('the check at RCPT and the delivery', { skip: withoutRoot() }, () => {
  const base = mkdtempSync(join(tmpdir(), 'quaver-states-'))
  const names = Object.keys(states)
  const homeOf = (name: string): string => join(base, String(names.indexOf(name)), 'home')
  const delivered = new Map<string, string>()

  before(() => {
    chmodSync(base, 0o755)
    for (const [name, [change]] of Object.entries(states)) {
      const home = homeOf(name)
      mkdirSync(home, { recursive: true, mode: 0o755 })
      writeFileSync(join(home, extended), '&a@b\n')
      for (const path of [home, join(home, extended)]) chownSync(path, uid, gid)
      change(home)
    }
    // What `local` asks of a home, as the user.
    const script = `
      const { checkHome } = await import(${JSON.stringify(join(import.meta.dirname, '../dot-qmail/home-files.ts'))})
      const { describeDelivery } = await import(${JSON.stringify(join(import.meta.dirname, '../dot-qmail/instructions.ts'))})
      const { quickFiles } = await import(${JSON.stringify(join(import.meta.dirname, '../../system/quick-files.ts'))})
      for (const home of process.argv.slice(1)) {
        const assignment = { user: 'u', home, local: 'u-x', dash: '-', ext: 'x', domain: 'd', defaultDelivery: './Maildir/' }
        const status = checkHome(quickFiles, home) ?? describeDelivery(quickFiles, assignment)
        console.log({ 2: 'exists', 5: 'absent', 4: 'unknown' }[status.class])
      }`
    const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script]
    const options = { uid, gid, cwd: '/', encoding: 'utf8' } as const
    const said = execFileSync(process.execPath, [...flags, ...names.map(homeOf)], options)
      .trim()
      .split('\n')
    for (const [at, name] of names.entries()) delivered.set(name, said[at] ?? '')
  })
  after(() => rmSync(base, { recursive: true }))

  const check = async (home: string): Promise<string> => {
    const record = { user: 'u', uid, gid, home, dash: '-', ext: 'x' }
    const users = { lookup: () => Promise.resolve({ kind: 'user', record } as const) }
    const world = { users, clock: realClock, defaultDelivery: './Maildir/' }
    return (await checkRecipient('u-x@d', world)).verdict
  }

  for (const [name, [, wanted]] of Object.entries(states))
    it(`say the same of ${name}`, async () => {
      assert.deepEqual([await check(homeOf(name)), delivered.get(name)], [wanted, wanted])
    })

  it('nobody learns by a link whether a file of root’s is there', async () => {
    const home = homeOf('ordinary')
    for (const target of ['/root', '/etc/shadow', '/root/no-such-file', '../../../etc/shadow']) {
      replace(home, (path) => symlinkSync(target, path))
      assert.equal(await check(home), 'exists', target)
    }
    const parent = join(base, 'owned')
    mkdirSync(parent)
    chownSync(parent, uid, gid)
    for (const [at, target] of ['/root', '/root/no-such-directory'].entries()) {
      symlinkSync(target, join(parent, String(at)))
      assert.equal(await check(join(parent, String(at))), 'exists', target)
    }
  })
})
