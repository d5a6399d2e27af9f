import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { plantedFaults } from '#test/kit/planted-faults.ts'
import { withoutRoot } from '#test/kit/tool.ts'
import { Authority } from '#test/kit/certificates.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { othersFiles } from '../../stores/control/others-files.ts'
import { controlFiles } from '../../stores/control/table.ts'
import { inspect } from './control-check.ts'

/** Root gets no mail. */
const owner = userInfo().uid || 1001
const path = mkdtempSync(join(tmpdir(), 'quaver-check-'))
for (const part of ['cur', 'new', 'tmp', '']) {
  mkdirSync(join(path, 'joe/Maildir', part), { recursive: true })
  chownSync(join(path, 'joe/Maildir', part), owner, owner)
}

/** What a working site has: files, comments, blank lines, units, wildcards, exceptions, built-in programs. */
const right: Readonly<Record<string, string>> = {
  'control/me': 'mail.a.test\n',
  'control/locals': 'localhost\nmail.a.test\n# old names\n\nA.test  \n',
  'control/rcpthosts': 'localhost\nmail.a.test\na.test\nv.test\n.v.test\nbackup.test\n',
  'control/virtualdomains': 'joe@v.test:joe\nv.test:v.test\nsub.v.test:\n.v.test:any\n',
  'control/smtproutes': 'far.test:relay.test:587\n.far.test:[2001:db8::1]:2525\ndirect.test:\n:192.0.2.9\n',
  'control/senderroutes': 'joe@a.test:relay.test\n@v.test:\n',
  'control/databytes': '50M\n',
  'control/queuelifetime': '7d\n',
  'control/concurrencyremote': '20\n',
  'control/doublebounceto': '\n',
  'control/badmailfrom': 'spam@x.test\n@y.test\n',
  'control/badmailto': '!^[a-z]+@a\\.test$\n(x|y)@\n',
  'control/rcptchecks': 'qmail-rcptcheck-badrcptto\n/bin/true\n',
  'control/smtpplugins': '[connect]\n:exit 0\n[rcpt]\nqmail-rcptcheck\nplugins/own\n',
  'control/smtpfilters': 'qmail-qfilter-addtlsheader\ncat\n',
  'control/checkpassword': '/bin/true -s service\n',
  'control/listen-smtp': '0.0.0.0:25\n[::]:25\n',
  'control/services': 'smtp\nlocal\nremote\n',
  'control/log': 'stamp\n',
  'control/relayclients': '127.0.0.0/8\n::1\n',
  'control/dnsservers': '192.0.2.53\n192.0.2.54:5353\n',
  'control/senders': 'joe@a.test:x@b.test, @c.test\njoe@a.test:y@b.test\n',
  'control/dkimdomains': '@:q1\nk.test:q1\n',
  'control/domainkeys/k.test/q1': generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
  'control/defaultdelivery': './Maildir/\n',
  'control/smtpgreeting': 'mail.a.test at your service\n',
  'control/percenthack': 'gate.a.test\n',
  'control/greylist/exemptrcpthosts': '.v.test\n',
  'control/tcprules/smtp': '# office\n192.0.2.:allow,RELAYCLIENT="",DATABYTES="5M"\n:allow\n',
  'control/rcpthosts.bak': 'whatever\n',
  'control/rcpthosts~': 'whatever\n',
  'control/rcpthosts,v': 'whatever\n',
  'alias/.qmail-root.swp': 'whatever\n',
  'alias/.qmail-root.bak2': '|/nowhere/x\n',
  'control/servercert.pem': 'somebody else reads it\n',
  'control/tlshosts/exhaustivelist': '',
  'users/assign': `=v.test-joe:joe:${owner}:${owner}:${path}/joe:::\n+joe-:joe:${owner}:${owner}:${path}/joe:-::\n.\n`,
  'users/cdb': '',
  'alias/.qmail-any-default': '|echo no\n|forward x\n|(cat; echo) | sed p\n|[ -z x ]\n',
  'alias/.qmail-root': '&joe\nann@a.test\n&"odd @ user"@a.test\njoe@m\xc3\xbcll.test.\n# nobody, really\n',
  'alias/.qmail-postmaster': '&joe\n',
  'alias/.qmail-mailer-daemon': '&postmaster\n',
  'plugins/own': '#!/bin/sh\n',
  'bin/forward': '#!/bin/sh\n',
  'auth/passwd': `joe@a.test::$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}:\n`,
}
const executable = new Set(['plugins/own', 'bin/forward'])

const home = homeAt(path)
chmodSync(home.path, 0o755)
for (const [name, text] of Object.entries(right)) put(name, text)
// Compiled after it was written.
utimesSync(join(home.path, 'users/cdb'), new Date(), new Date(Date.now() + 3_600_000))
/** As on a machine without qmail's accounts: they own nothing, and are not root. */
const noAccounts = (): Promise<undefined> => Promise.resolve(undefined)
after(() => rmSync(home.path, { recursive: true, force: true }))

function put(name: string, text: string | undefined, mode = executable.has(name) ? 0o755 : 0o644): void {
  const file = join(home.path, name)
  rmSync(file, { force: true })
  if (text === undefined) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, 'latin1')
  chmodSync(file, mode)
}

/** What is found while one file is otherwise. */
async function foundWith(name: string, text: string | undefined, mode?: number): Promise<string[]> {
  put(name, text, mode)
  try {
    const { findings } = await inspect(home, noAccounts)
    for (const { remedy } of findings) assert.notEqual(remedy, '')
    return findings.map(({ file, line, fault }) => `${file}${line === undefined ? '' : `:${line}`} ${fault}`)
  } finally {
    put(name, right[name])
  }
}

describe('control check', () => {
  it('says nothing about a home that is right', async () => {
    const { others, ...found } = await inspect(home, noAccounts)
    assert.deepEqual([found, others.length], [{ findings: [], unread: [] }, 1])
  })

  for (const [file, text, expected, mode] of plantedFaults(path)) {
    it(`finds ${expected.source.slice(1).replaceAll('\\', '')}`, async () => {
      const found = await foundWith(file, text, mode)
      assert.ok(
        found.some((one) => expected.test(one)),
        `${expected} in ${JSON.stringify(found, null, 2)}`,
      )
    })
  }

  it('looks as the account that reads, also by the directories on the way', async () => {
    chmodSync(home.control, 0o700)
    const { findings } = await inspect(home, noAccounts)
    chmodSync(home.control, 0o755)
    assert.match(findings[0]?.fault ?? '', /cannot be reached by the account .*control may not be entered/)
    assert.equal(findings[0]?.remedy, `chmod o+x ${home.control}`)
  })

  it('finds rights of an account that does not exist, where no program knows others', async () => {
    const line = 'jo@a.test:x@b.test\n'
    assert.deepEqual(await foundWith('control/senders', line), [])
    put('control/checkpassword', undefined)
    const found = await foundWith('control/senders', line)
    put('control/checkpassword', right['control/checkpassword'])
    assert.deepEqual(found, ['control/senders:1 is about an account that does not exist'])
  })

  it('finds two services at one address, also where the other says nothing of its own', async () => {
    assert.deepEqual(await foundWith('control/listen-pop3', '127.0.0.1:25\n'), [])
    put('control/services', 'smtp\npop3\n')
    const found = await foundWith('control/listen-pop3', '127.0.0.1:25\n127.0.0.1:995\n')
    put('control/services', right['control/services'])
    assert.deepEqual(found, [
      'control/listen-pop3 names 127.0.0.1:25, which control/listen-smtp has: nothing starts',
      'control/listen-pop3s names 0.0.0.0:995, which control/listen-pop3 has: nothing starts',
    ])
  })

  it('finds an alias directory that mail is not taken into', async () => {
    chmodSync(home.alias, 0o777)
    const { findings } = await inspect(home, noAccounts)
    chmodSync(home.alias, 0o755)
    assert.deepEqual(
      findings.map(({ file, remedy }) => `${file}: ${remedy}`),
      [`alias: chmod o-w,-t ${home.alias}`],
    )
  })

  it('finds certificates that nobody can use, or nobody believes', async () => {
    const about = async (certificate: string, key: string, mode = 0o600): Promise<string[]> => {
      put('tls/cert.pem', certificate)
      put('tls/key.pem', key, mode)
      const { findings } = await inspect(home, noAccounts)
      for (const { file } of findings) assert.equal(file, 'tls/cert.pem')
      return findings.map(({ fault }) => fault)
    }
    const authority = new Authority()
    const own = authority.issue('mail.a.test', 'DNS:mail.a.test')
    const other = authority.issue('mail.b.test', 'DNS:mail.b.test')
    authority.remove()
    assert.deepEqual(await about(own.cert, own.key), [])
    assert.match((await about(own.cert, own.key, 0o644)).join(' '), /^\S+ may be read by others/)
    assert.match((await about(own.cert, other.key)).join(' '), /cert\.pem and key\.pem: /)
    assert.match((await about('nonsense\n', own.key)).join(' '), /cert\.pem and key\.pem: /)
    assert.match((await about(other.cert, other.key)).join(' '), /does not have the name .* no certificate is for mail/)
    put('tls/cert.pem', undefined)
    put('tls/key.pem', undefined)
  })

  it('finds a mailbox that its owner cannot enter, and rules that their reader cannot read', {
    skip: withoutRoot(),
  }, async () => {
    chmodSync(join(path, 'joe'), 0o700)
    chownSync(join(path, 'joe'), owner + 1, owner + 1)
    put('control/tcprules/smtp.cdb', 'x', 0o600)
    const { findings } = await inspect(home, noAccounts)
    chmodSync(join(path, 'joe'), 0o755)
    chownSync(join(path, 'joe'), 0, 0)
    put('control/tcprules/smtp.cdb', undefined)
    assert.deepEqual(
      findings.map(({ file, line, fault }) => [file, line, fault]),
      [
        ['control/tcprules/smtp.cdb', undefined, 'has mode 600: the account qmaild cannot read it'],
        [
          'users/assign',
          1,
          `leads to the Maildir ${path}/joe/Maildir/, which cannot be reached by the account joe: ${path}/joe may not be entered: mail waits`,
        ],
      ],
    )
  })

  it('finds a link that leads nowhere', async () => {
    symlinkSync('/nowhere', join(home.control, 'badhelo'))
    const { findings } = await inspect(home, noAccounts)
    put('control/badhelo', undefined)
    assert.match(findings[0]?.fault ?? '', /is a link that leads nowhere/)
  })

  it('a name that resembles none of ours is somebody’s own', async () => {
    put('control/frobnicate', 'x\n')
    const { findings, unread } = await inspect(home, noAccounts)
    put('control/frobnicate', undefined)
    assert.deepEqual([findings, unread], [[], ['control/frobnicate']])
  })

  it('of what other qmails read it says what does that here', async () => {
    for (const name of ['tarpitcount', 'servercert.pem', 'locals.cdb']) put(`control/${name}`, 'x\n')
    const { findings, unread, others } = await inspect(home, noAccounts)
    for (const name of ['tarpitcount', 'servercert.pem', 'locals.cdb']) put(`control/${name}`, undefined)
    assert.deepEqual([findings, unread], [[], []])
    assert.deepEqual(
      others.map(({ file }) => file),
      ['control/locals.cdb', 'control/servercert.pem', 'control/tarpitcount'],
    )
    assert.match(others[2]?.here ?? '', /^refusals cost a client a second/)
  })

  it('every sentence ends, and none is about a file of ours', () => {
    for (const [name, { there, here }] of othersFiles) {
      assert.ok(!(name in controlFiles), name)
      assert.match(`${name} ${there}`, /^[a-z0-9_.]+ (?:was|were|said|gave|named|held|listed|turned|had|refused) /)
      assert.match(here, /\.$/)
    }
  })

  it('never shows what is secret', async () => {
    const found = await foundWith('control/smarthostsecrets', 'relay.test user\nhunter2\n', 0o600)
    assert.notDeepEqual(found, [])
    assert.doesNotMatch(JSON.stringify(found), /hunter2/)
  })
})
