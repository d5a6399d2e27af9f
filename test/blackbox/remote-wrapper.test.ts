/** QMAILREMOTE: a program of the administrator's stands before qmail-remote, as for signing with another's signer. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { Instance } from '#test/kit/instance.ts'
import { Sink } from '#test/kit/sink.ts'

const hasSigner = spawnSync('perl', ['-MMail::DKIM::Signer', '-e', '1']).status === 0

/** As the wrappers of pkgsrc's qmail-dkim-wrappers do it. */
const signingWrapper = (key: string, script: string): string => `#!/bin/sh
signed=$(mktemp) || exit 111
trap 'rm -f "$signed"' EXIT
perl ${script} ${key} > "$signed" || exit 111
qmail-remote "$@" < "$signed"
`
const signer = `use Mail::DKIM::Signer;
my $dkim = Mail::DKIM::Signer->new(Algorithm => 'rsa-sha256', Method => 'relaxed', Domain => 'quaver.test', Selector => 's1', KeyFile => shift);
my @lines = <STDIN>;
for (@lines) { my $line = $_; $line =~ s/\\n$/\\r\\n/; $dkim->PRINT($line) }
$dkim->CLOSE;
my $signature = $dkim->signature->as_string;
$signature =~ s/\\r//g;
print $signature, "\\n", @lines;
`

describe('QMAILREMOTE', { skip: hasSigner ? false : 'needs libmail-dkim-perl', concurrency: false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-remote-wrapper-'))
  let quaver: Instance
  let sink: Sink
  before(async () => {
    const key = join(directory, 'key.pem')
    execFileSync('openssl', ['genrsa', '-traditional', '-out', key, '2048'], { stdio: 'ignore' })
    writeFileSync(join(directory, 'sign.pl'), signer)
    writeFileSync(join(directory, 'wrapper'), signingWrapper(key, join(directory, 'sign.pl')))
    chmodSync(join(directory, 'wrapper'), 0o755)
    sink = await Sink.listen()
    quaver = await Instance.start({
      files: { 'control/smtproutes': `:127.0.0.1:${sink.port}\n` },
      env: { QMAILREMOTE: join(directory, 'wrapper') },
    })
  })
  after(async () => {
    await quaver.end()
    await sink.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const send = (to: string): ReturnType<Instance['quaverWith']> =>
    quaver.quaverWith('From: me@quaver.test\nSubject: signed\n\nHello.\n', 'send', '-f', 'me@quaver.test', to)

  it('mail that its signer signs leaves by qmail-remote, and the signature is good', async () => {
    assert.equal((await send('r@elsewhere.test')).code, 0)
    await sink.count(1)
    const [transaction] = sink.transactions
    assert.deepEqual([transaction?.from, transaction?.to], ['me@quaver.test', ['r@elsewhere.test']])
    const key = execFileSync('openssl', ['rsa', '-in', join(directory, 'key.pem'), '-pubout', '-outform', 'DER'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const record = `v=DKIM1; k=rsa; p=${key.toString('base64')}`
    const { results } = await dkimVerify(transaction?.content ?? Buffer.alloc(0), {
      resolver: () => Promise.resolve([[record]]),
    })
    assert.deepEqual(
      results.map(({ status }) => status.result),
      ['pass'],
    )
  })

  it('what the next host refuses is told in its words', async () => {
    sink.answer = (verb) => (verb === 'RCPT' ? '450 4.2.1 not now' : undefined)
    assert.equal((await send('later@elsewhere.test')).code, 0)
    await quaver.logged(/deferral: 127\.0\.0\.1_does_not_like_recipient\.\/Remote_host_said:_450_4\.2\.1_not_now\//)
    sink.answer = () => undefined
  })
})
