/** Programs as other people write them, to the documented protocols only, through a running system: each client address has a rule
 *  that names the programs for it. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Edge } from '../kit/edge.ts'
import { demoAddress } from '../kit/instance.ts'
import { without } from '../kit/tool.ts'

const qfilter = (list: string): string =>
  `QMAILQUEUE="/usr/local/bin/qmail-qfilter-queue",QMAILQUEUEFILTERS="control/${list}"`

describe('programs by others', { skip: without('python3', 'perl') }, () => {
  let edge: Edge
  before(async () => {
    const lists = ['rewrite', 'refuse', 'discard', 'custom', 'rename', 'unchanged']
    edge = await Edge.start({
      files: {
        'control/tcprules/smtp': [
          '192.0.2.1:allow,QMAILQUEUE="plugins/scan-queue"',
          '192.0.2.2:allow,QMAILQUEUE="plugins/tempfail-queue"',
          '192.0.2.3:allow,SPPCONFFILE="control/rate-plugins"',
          '192.0.2.4:allow,SPPCONFFILE="control/early-plugins"',
          ...lists.map((list, n) => `192.0.2.${10 + n}:allow,${qfilter(list)}`),
          ':allow',
          '',
        ].join('\n'),
        'control/rate-plugins':
          '[rcpt]\n# one after the other\nplugins/rate.py\n:[ "$SMTPRCPTCOUNT" -lt 2 ] || echo "E452 two are enough (#4.5.3)"\n',
        'control/early-plugins': '[connection]\nplugins/early.pl\n[data]\nplugins/quiet.sh\nplugins/verdict.pl\n',
        'control/rcptchecks': 'plugins/check.py\n',
        ...Object.fromEntries(lists.map((list) => [`control/${list}`, `plugins/${list}\n`])),
      },
    })
    await edge.program(
      'scan-queue',
      `#!/usr/bin/perl
# Adds a header and hands on to the real queue, as scanners do.
use strict;
pipe(my $read, my $write) or exit 81;
my $pid = fork(); exit 81 unless defined $pid;
if (!$pid) { close $write; open(STDIN, '<&', $read); exec 'bin/qmail-queue' or exit 120; }
close $read;
print $write "X-Scanned: by perl\\n"; print $write $_ while <STDIN>;
close $write; waitpid($pid, 0); exit($? >> 8);
`,
    )
    await edge.program('tempfail-queue', '#!/bin/sh\ncat >/dev/null\nexit 53\n')
    await edge.program(
      'rate.py',
      `#!/usr/bin/env python3
import os, sqlite3
db = sqlite3.connect("rate.db")
db.execute("CREATE TABLE IF NOT EXISTS seen (ip TEXT, rcpt TEXT, UNIQUE(ip, rcpt))")
db.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (os.environ["TCPREMOTEIP"], os.environ["SMTPRCPTTO"]))
db.commit()
print("HX-Seen: %d" % db.execute("SELECT count(*) FROM seen").fetchone()[0])
`,
    )
    await edge.program(
      'early.pl',
      '#!/usr/bin/perl\nprint "SGREETED=$ENV{TCPREMOTEIP}\\n" if $ENV{TCPREMOTEIP} =~ /^192/;\n',
    )
    await edge.program('quiet.sh', '#!/bin/sh\necho "to the log" >&2\nexec >&-\nexit 3\n')
    await edge.program(
      'verdict.pl',
      '#!/usr/bin/perl -l\nprint "HX-Greeted: $ENV{GREETED}"; print "HX-Sender: $ENV{SMTPMAILFROM}";\n',
    )
    await edge.program(
      'check.py',
      '#!/usr/bin/env python3\nimport os, sys\nsys.exit({"late": 111, "gone": 100}.get(os.environ["RECIPIENT"].split("@")[0], 0))\n',
    )
    // A qmail-qfilter filter may change content, envelope, both or nothing.
    await edge.program(
      'rewrite',
      `#!/usr/bin/env python3
import os, sys
envelope = os.read(3, 65536).split(b"\\0")
os.write(4, b"\\0".join([b"Fother@sender.test", *envelope[1:]]))
sys.stdout.buffer.write(b"X-Was: " + envelope[0][1:] + b"\\n" + sys.stdin.buffer.read())
`,
    )
    await edge.program('refuse', '#!/bin/sh\nexit 31\n')
    await edge.program('discard', '#!/bin/sh\nexit 99\n')
    await edge.program('custom', '#!/bin/sh\nprintf "Zcome back for %s (#4.7.1)" "$QMAILHOST" >&6\nexit 82\n')
    await edge.program('rename', '#!/bin/sh\nprintf plugins/named-queue >&5\n')
    await edge.program(
      'named-queue',
      '#!/bin/sh\n{ echo "X-Named: yes"; cat; } > named.out\ntr "\\000" "|" <&1 > named.env\n',
    )
    await edge.program('unchanged', '#!/usr/bin/perl\nwhile (<STDIN>) { $n++ } exit 0;\n')
  })
  after(() => edge.end())

  it('QMAILQUEUE in Perl, handing on to qmail-queue; one that says 53', async () => {
    assert.match(await (await edge.greeted('192.0.2.1')).send('scanned'), /^250 /)
    assert.match(await edge.delivered('scanned'), /\nX-Scanned: by perl\nAuthentication-Results: [^]*\nReceived: from /)
    assert.match(await (await edge.greeted('192.0.2.2')).send('not now'), /^451 .*qq write error or disk full/)
  })

  it('qmail-spp: a Python program with a database of its own, and a shell line', async () => {
    const visitor = await edge.greeted('192.0.2.3')
    const recipients = ['RCPT TO:<demo@quaver.test>', 'RCPT TO:<postmaster@quaver.test>', 'RCPT TO:<demo@quaver.test>']
    const [, ...replies] = await visitor.talk('MAIL FROM:<a@b.test>', 'RCPT TO:<demo@quaver.test>', ...recipients)
    assert.deepEqual(
      replies.map((reply) => reply.slice(0, 3)),
      ['250', '250', '250', '452'],
    )
    await visitor.ask('DATA')
    assert.match(await visitor.ask('Subject: rated\r\n\r\n.'), /^250 /)
    assert.match(await edge.delivered('rated'), /\nX-Seen: 1\nX-Seen: 1\n/)
  })

  it('qmail-spp: Perl at connection and DATA, a program that closes its output and exits with 3', async () => {
    assert.match(await (await edge.greeted('192.0.2.4')).send('early', 'early@sender.test'), /^250 /)
    assert.match(await edge.delivered('early'), /\nX-Greeted: 192\.0\.2\.4\nX-Sender: early@sender\.test\nSubject: /)
    await edge.logged(/quiet\.sh.*to the log/)
  })

  it('RCPTCHECK in Python: 100, 111, 0', async () => {
    const visitor = await edge.greeted('192.0.2.5')
    const replies = await visitor.talk(
      'MAIL FROM:<a@b.test>',
      'RCPT TO:<gone@quaver.test>',
      `RCPT TO:<${demoAddress}>`,
      'RCPT TO:<late@quaver.test>',
    )
    assert.deepEqual(
      replies.map((reply) => reply.slice(0, 9)),
      ['250 2.1.0', '553 5.1.1', '250 2.1.5', '421 4.3.0'],
    )
  })

  it('qmail-qfilter: content and envelope changed, 31, 99, 82 with descriptor 6, descriptor 5, nothing said', async () => {
    const replies = new Map<string, string>()
    for (const [n, list] of ['rewrite', 'refuse', 'discard', 'custom', 'rename', 'unchanged'].entries())
      replies.set(list, await (await edge.greeted(`192.0.2.${10 + n}`)).send(`filter ${list}`))
    for (const list of ['rewrite', 'discard', 'rename', 'unchanged'])
      assert.match(replies.get(list) ?? '', /^250 /, list)
    assert.match(
      await edge.delivered('filter rewrite'),
      /^Return-Path: <other@sender\.test>\n[^]*\nX-Was: me@sender\.test\nAuthentication-Results: [^]*\nReceived: /,
    )
    await edge.delivered('filter unchanged')
    assert.match(replies.get('refuse') ?? '', /^554 .*mail server permanently rejected message/)
    assert.equal(replies.get('custom'), '451 4.7.1 come back for sender.test (#4.7.1)')
    const [named, envelope] = await Promise.all(
      ['named.out', 'named.env'].map((name) => readFile(join(edge.instance.home, name), 'latin1')),
    )
    assert.match(
      named ?? '',
      /^X-Named: yes\nAuthentication-Results: [^]*\nReceived: from [^]*\nSubject: filter rename\n/,
    )
    assert.equal(envelope, `Fme@sender.test|T${demoAddress}||`)
    const texts = [...(await edge.instance.delivered()).values()].map(String)
    for (const gone of ['filter discard', 'filter refuse', 'filter rename'])
      assert.ok(!texts.some((text) => text.includes(gone)), gone)
  })

  it('a program that was changed is the changed one at the next command', async () => {
    await writeFile(join(edge.instance.home, 'plugins/check.py'), '#!/bin/sh\nexit 100\n')
    const replies = await (await edge.greeted('192.0.2.6')).talk('MAIL FROM:<a@b.test>', `RCPT TO:<${demoAddress}>`)
    assert.match(replies[1] ?? '', /^553 5\.1\.1 /)
  })
})
