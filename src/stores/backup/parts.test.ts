import assert from 'node:assert/strict'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { homeAt } from '../home/layout.ts'
import { partsOf } from './parts.ts'

describe('what is in a backup', () => {
  let path: string
  const left: string[] = []
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'quaver-parts-'))
    left.length = 0
    mkdirSync(join(path, 'queue/snapshot'), { recursive: true })
  })
  afterEach(() => rmSync(path, { recursive: true, force: true }))

  function put(name: string, text: string): void {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
  }

  /** `meanwhile` is called when an entry is told, before its content is read. */
  async function read(
    mail: boolean,
    meanwhile: (entry: string) => void = () => undefined,
  ): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    const parts = partsOf({
      ...{ home: homeAt(path), queueCopy: () => Promise.resolve(join(path, 'queue/snapshot')), mail },
      left: (text) => left.push(text),
    })
    for await (const { entry, content } of parts) {
      meanwhile(entry.path)
      const pieces = await Array.fromAsync(content ?? [])
      const text = Buffer.concat(pieces).toString('latin1')
      found.set(entry.path, entry.kind === 'link' ? `-> ${entry.target}` : text)
    }
    return found
  }

  it('a message that is read meanwhile is there, under one name or both', async () => {
    for (const name of ['a', 'b', 'c']) put(`mail/d/x/Maildir/new/${name}`, name)
    for (const name of ['cur', 'tmp']) mkdirSync(join(path, 'mail/d/x/Maildir', name))
    const moved = new Set<string>()
    const found = await read(true, () => {
      // One more at each step, as somebody reads.
      const [name] = readdirSync(join(path, 'mail/d/x/Maildir/new'))
      if (name === undefined) return
      renameSync(join(path, 'mail/d/x/Maildir/new', name), join(path, 'mail/d/x/Maildir/cur', `${name}:2,S`))
      moved.add(name)
    })
    assert.ok(moved.size > 0)
    for (const name of ['a', 'b', 'c']) assert.ok([...found.values()].includes(name), name)
    assert.deepEqual(left, [])
  })

  it('leaves messages out that nobody asked for, and keeps the limit of a quota', async () => {
    put('mail/d/x/Maildir/new/a', 'a')
    put('mail/d/x/Maildir/.Sent/cur/b', 'b')
    for (const name of ['cur', 'tmp', '.Sent/new', '.Sent/tmp'])
      mkdirSync(join(path, 'mail/d/x/Maildir', name), { recursive: true })
    put('mail/d/x/Maildir/maildirsize', '100S\n55 1\n')
    put('mail/d/x/.qmail', './Maildir/\n')
    const found = await read(false)
    assert.deepEqual(
      [...found].filter(([name, text]) => name.startsWith('mail/') && text !== ''),
      [
        ['mail/d/x/.qmail', './Maildir/\n'],
        ['mail/d/x/Maildir/maildirsize', '100S\n'],
      ],
    )
    assert.ok(found.has('mail/d/x/Maildir/.Sent/new'))
  })

  it('has what others told us, and not what we count of them', async () => {
    for (const name of [
      'acme/account.json',
      'mta-sts/example.org',
      'reports/received/x.json',
      'reports/dmarc/x.db',
      'tls-reports/x',
    ])
      put(name, 'x')
    const found = await read(false)
    const files = [...found].flatMap(([name, text]) => (text === 'x' ? [name] : []))
    assert.deepEqual(files, ['acme/account.json', 'mta-sts/example.org', 'reports/received/x.json'])
  })

  it('follows no link, and has no programs of ours, databases that can be lost, or half-written files', async () => {
    put('bin/mine', '#!')
    symlinkSync('/usr/lib/quaver/bin/quaver', join(path, 'bin/sendmail'))
    put('auth/passwd', 'p')
    put('auth/guard.sqlite', 'g')
    put('control/.me.77.new', 'half')
    put('mail/d/x/notes', 'n')
    symlinkSync('/etc/passwd', join(path, 'mail/d/x/planted'))
    const found = await read(true)
    assert.deepEqual([found.get('mail/d/x/planted'), found.get('bin/mine')], ['-> /etc/passwd', '#!'])
    for (const name of ['bin/sendmail', 'auth/guard.sqlite', 'control/.me.77.new']) assert.ok(!found.has(name), name)
  })

  it('fills up a file that is cut while it is read, and says so', async () => {
    put('mail/d/x/Mailbox', 'x'.repeat(200_000))
    const found = await read(true, (name) => {
      if (name === 'mail/d/x/Mailbox') truncateSync(join(path, name), 10)
    })
    assert.equal(found.get('mail/d/x/Mailbox'), 'x'.repeat(10) + '\0'.repeat(199_990))
    assert.match(left.join('\n'), /Mailbox: it became shorter while it was read/)
  })
})
