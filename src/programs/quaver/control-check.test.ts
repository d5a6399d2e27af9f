import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
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
  'alias/.qmail-root': '&joe\nann@a.test\n&"odd @ user"@a.test\n# nobody, really\n',
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

/** One file that is otherwise, and what is found. */
const planted: readonly (readonly [string, string | undefined, RegExp, number?])[] = [
  ['control/me', '\n', /^control\/me:1 is empty/],
  ['control/me', undefined, /^control\/me does not exist/],
  ['control/locals', 'a.test\n.b.test\n', /^control\/locals:2 stands for no domain/],
  ['control/locals', 'a.test\nv.test\n', /^control\/virtualdomains:2 is about a domain of control\/locals/],
  [
    'control/locals',
    'a.test\nnew.test\n',
    /^control\/locals:2 is about a domain that control\/rcpthosts does not have/,
  ],
  ['control/rcpthosts', 'a.test, v.test\n', /^control\/rcpthosts:1 has a blank in it/],
  ['control/rcpthosts', '*.a.test\n', /^control\/rcpthosts:1 begins with \*/],
  ['control/rcpthosts', 'a.test.\n', /^control\/rcpthosts:1 ends with a dot/],
  ['control/rcpthosts', 'm\xc3\xbcll.test\n', /^control\/rcpthosts:1 has letters that no name/],
  ['control/rcpthosts', 'joe@a.test\n', /^control\/rcpthosts:1 is an address/],
  ['control/rcpthosts', 'a.test\r\n', /^control\/rcpthosts:1 ends in CR LF/],
  ['control/rcpthosts', '\xff\xfea\0', /^control\/rcpthosts is UTF-16/],
  ['control/rcpthosts', 'a.test\n\0\n', /^control\/rcpthosts line 2 has a NUL byte/],
  ['control/virtualdomains', 'v.test\n', /^control\/virtualdomains:1 has no colon/],
  ['control/virtualdomains', 'v.test:a\nv.test:b\n', /^control\/virtualdomains:2 is about 'v.test' as line 1 is/],
  ['control/virtualdomains', 'other.test:joe\n', /^control\/virtualdomains:1 .* control\/rcpthosts does not have/],
  ['control/smtproutes', 'far.test:relay.test:smtp\n', /^control\/smtproutes:1 names no relay/],
  ['control/smtproutes', 'far.test relay.test\n', /^control\/smtproutes:1 has no colon/],
  ['control/databytes', '50 apples\n', /^control\/databytes:1 is not a number of bytes/],
  ['control/queuelifetime', '1e6\n', /^control\/queuelifetime:1 is not a number of seconds/],
  ['control/timeoutremote', '0\n', /^control\/timeoutremote:1 is less than 1/],
  ['control/submissionreceivedip', '2\n', /^control\/submissionreceivedip:1 is more than 1/],
  ['control/databytes', '5M\n6M\n', /^control\/databytes:2 is not read/],
  ['control/srs_domain', 'srs.a.test\n', /^control\/srs_domain is there without control\/srs_secrets/],
  ['control/srs_separator', '/\n', /^control\/srs_separator:1 is not: =, - or \+/],
  ['control/badmailto', 'ok\n([a\n', /^control\/badmailto:2 is no pattern/],
  ['control/badmailfrom', '*@x.test\n', /^control\/badmailfrom:1 begins with \*, which is no wildcard/],
  ['control/badmailfrom', 'x.test\n', /^control\/badmailfrom:1 is not: user@host or @host/],
  ['control/rcptchecks', '/nowhere/check\n', /^control\/rcptchecks:1 names the recipient check .* does not exist/],
  ['control/smtpplugins', '[bogus]\n', /^control\/smtpplugins:1 begins no section/],
  ['control/smtpplugins', '[mail]\n:exit 0\n[rctp]\n', /^control\/smtpplugins:3 is taken for \[rcpt\]/],
  ['control/smtpplugins', '[mail\n:exit 0\n', /^control\/smtpplugins:1 is taken for \[mail\]/],
  ['control/smtpplugins', ':exit 0\n', /^control\/smtpplugins:1 is in no section/],
  ['control/smtpplugins', '[rcpt]\n/nowhere/plug-in\n', /^control\/smtpplugins:2 names the plug-in .* does not exist/],
  ['plugins/own', '#!/bin/sh\n', /^control\/smtpplugins:5 names the plug-in plugins\/own, which has mode 644/, 0o644],
  ['control/smtpfilters', 'no-such-filter\n', /^control\/smtpfilters:1 names the filter .* no directory of PATH/],
  ['control/ofmipfilters', '/etc/passwd\n', /^control\/ofmipfilters:1 names the submission filter .* cannot run it/],
  ['control/checkpassword', '/nowhere/checkpassword /bin/true\n', /^control\/checkpassword:1 names .* does not exist/],
  ['control/services', 'smtp\nsmpt\n', /^control\/services:2 is not: one of smtp/],
  ['control/roles', 'queues:nobody\n', /^control\/roles:1 names no role/],
  ['control/roles', 'queue:no-such-account\n', /^control\/roles:1 names an account that this machine does not have/],
  ['control/log', 'file\n', /^control\/log:1 is not: one of stderr/],
  ['control/listen-smtp', '25\n', /^control\/listen-smtp:1 is not: address:port/],
  ['control/listen-pop3', '127.0.0.1:110\n127.0.0.1:110\n', /^control\/listen-pop3:2 names an address twice/],
  ['control/relayclients', '10\n', /^control\/relayclients:1 is not: an address or a network/],
  ['control/dnsservers', 'ns.a.test\n', /^control\/dnsservers:1 is not: an address/],
  ['control/senders', 'joe@a.test\n', /^control\/senders:1 has no colon/],
  ['control/senders', 'joe@a.test:x@b.test;y@b.test\n', /^control\/senders:1 gives a right to what is no address/],
  ['control/dkimdomains', 'a.test:q1\n', /^control\/dkimdomains:1 names the key q1 of a.test, which does not exist/],
  ['control/domainkeys/k.test/q1', 'nonsense\n', /^control\/dkimdomains:2 names the key q1 of k.test, which cannot be/],
  ['control/virtualdomains', '@v.test:v.test\n', /^control\/virtualdomains:1 names nobody before its @/],
  ['control/senders', 'joe@a.test:everybody\n', /^control\/senders:1 gives a right to what is no address/],
  ['control/defaultdelivery', 'Maildir/\n', /^control\/defaultdelivery:1 is not: a line of a .qmail file/],
  ['control/smarthostsecrets', 'relay.test user\n', /^control\/smarthostsecrets holds secrets/, 0o644],
  ['control/tcprules/smtp', 'nonsense:permit\n', /^control\/tcprules\/smtp:1 has neither ':allow' nor ':deny'/],
  ['control/tcprules/smtp', '10.0.0.0:allow\n10.0.0.0:deny\n', /^control\/tcprules\/smtp:2 is about whom line 1/],
  ['control/tcprules/smpt', ':allow\n', /^control\/tcprules\/smpt is read by no program; control\/tcprules\/smtp is/],
  ['control/rcpthost', 'a.test\n', /^control\/rcpthost is read by no program; control\/rcpthosts is/],
  ['control/virtual-domains', 'a.test:a\n', /^control\/virtual-domains is read by no program/],
  ['control/locals.txt', 'a.test\n', /^control\/locals.txt is read by no program; control\/locals is/],
  ['control/badrcptto', 'x@a.test\n', /^control\/badrcptto has mode 000/, 0o000],
  ['control/helohost', 'a.test\n', /^control\/helohost has mode 600: the account qmailr cannot read it/, 0o600],
  ['control/idhost', 'a.test\n', /^control\/idhost can be written by anybody/, 0o666],
  ['users/assign', '=joe:joe:1:1:/home/joe\n.\n', /^users\/assign:1 has fewer than 6 colons/],
  ['users/assign', '=joe:joe:1:1:/h:::\n=joe:jo:2:2:/j:::\n.\n', /^users\/assign:2 has the key of line 1/],
  [
    'control/smtpplugins',
    '[rcpt]\n:/nowhere/script -x\n',
    /^control\/smtpplugins:2 names the plug-in \/nowhere\/script,/,
  ],
  ['control/smtpgreeting', '- welcome\n', /^control\/smtpgreeting:1 does not begin with a host name/],
  [
    'control/tcprules/smtp',
    ':allow,QMAILQUEUE="/nowhere/queue"\n',
    /^control\/tcprules\/smtp:1 sets QMAILQUEUE to .* does not exist/,
  ],
  ['users/assign', '=joe:joe:joe:joe:/h:::\n.\n', /^users\/assign:1 has a uid or gid that is no number/],
  ['users/assign', '=joe:root:0:0:/root:::\n.\n', /^users\/assign:1 gives mail to uid 0/],
  ['alias/.qmail-john.doe', '&joe\n', /^alias\/.qmail-john.doe is never looked for/],
  [
    'alias/.qmail-root',
    './Maildir/\n',
    /^alias\/.qmail-root:1 leads to the Maildir .\/Maildir\/, which does not exist/,
  ],
  ['alias/.qmail-postmaster', undefined, /^alias\/.qmail-postmaster does not exist/],
  [
    'alias/.qmail-root',
    '|/nowhere/filter -x\n',
    /^alias\/.qmail-root:1 names the program \/nowhere\/filter, which does not exist/,
  ],
  ['plugins/own', '#!/nowhere/perl -w\n', /^control\/smtpplugins:5 .* needs \/nowhere\/perl, which does not exist/],
  ['plugins/own', '#!/bin/sh\r\n', /^control\/smtpplugins:5 .* has a first line that ends in CR LF/],
  ['control/noextensions', 'mx.far.test:PIPELINIG\n', /^control\/noextensions:1 is not: host:KEYWORD/],
  ['tls/cert.pem', 'nonsense\n', /^tls\/key.pem does not exist, and tls\/cert.pem is nothing without it/],
  ['control/virtualdomains', 'v.test:v.tset\n', /^control\/virtualdomains:1 gives a domain to nobody/],
  ['control/virtualdomains', 'joe@v.test:nobody-here\n', /^control\/virtualdomains:1 gives a domain to nobody/],
  [
    'control/defaultdelivery',
    '|/nowhere/sorter x\n',
    /^control\/defaultdelivery:1 names the program .* does not exist/,
  ],
  [
    'control/defaultdelivery',
    '|no-such-sorter\n',
    /^control\/defaultdelivery:1 names the program .* no directory of PATH/,
  ],
  [
    'alias/.qmail-root',
    '|no-such-filter\n',
    /^alias\/.qmail-root:1 names the program no-such-filter, which no directory/,
  ],
  ['control/tcprules/smtp', ':allow,RELAYCLIENT=""\n', /^control\/tcprules\/smtp:1 sets RELAYCLIENT for everybody/],
  [
    'control/tcprules/smtp',
    '0.0.0.0/0:allow,RELAYCLIENT=""\n',
    /^control\/tcprules\/smtp:1 sets RELAYCLIENT for every/,
  ],
  ['control/tcprules/smtp', '=:allow,RELAYCLIENT="x"\n', /^control\/tcprules\/smtp:1 sets RELAYCLIENT for everybody/],
  ['control/relayclients', '::/0\n', /^control\/relayclients:1 trusts a good part of the world/],
  ['control/xclients', '0.0.0.0/1\n', /^control\/xclients:1 trusts a good part of the world/],
  ['users/assign', '=joe:joe:1:1:/nowhere/joe:::\n.\n', /^users\/assign:1 has the home \/nowhere\/joe, which does not/],
  ['users/assign', `=joe:joe:1:1:${path}:::\n.\n`, /^users\/assign:1 leads to the Maildir .*, which is not there/],
  ['users/assign', `=joe:joe:1:1:${path}/joe:::\n.\n`, /^users\/assign:1 leads to the Maildir .* belongs to uid/],
  [
    'users/assign',
    '=v.test-joe:joe:1:1:/srv/old/mail/v.test/joe:::\n.\n',
    /^users\/assign:1 has the mailbox of an account in \/srv\/old\/mail, which is not of this home/,
  ],
  ['alias/.qmail-root', '&joe\n& ann@a.test\n', /^alias\/.qmail-root:2 forwards to what is no address/],
  ['alias/.qmail-root', 'joe@a.test,ann@a.test\n', /^alias\/.qmail-root:1 forwards to several addresses at once/],
  ['alias/.qmail-root', '\n&joe\n', /^alias\/.qmail-root makes mail wait/],
  ['alias/.qmail-root', '\xff\xfe.\0', /^alias\/.qmail-root is UTF-16/],
]

describe('control check', () => {
  it('says nothing about a home that is right', async () => {
    const { others, ...found } = await inspect(home, noAccounts)
    assert.deepEqual([found, others.length], [{ findings: [], unread: [] }, 1])
  })

  for (const [file, text, expected, mode] of planted) {
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
