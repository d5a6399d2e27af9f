/** qmail-smtpd and its kin as tcpserver starts them: one process a connection, which is descriptors 0 and 1, in the environment
 *  that the rules gave. The first cases run beside a whole system, the last without. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { netstring } from '../../src/protocols/netstring/package-reader.ts'
import { demoAddress, Instance, launcher } from '../kit/instance.ts'
import { without, withoutOtherAccounts } from '../kit/tool.ts'

const nobody = 65534

interface Served {
  readonly said: string
  readonly log: string
  readonly code: number | null
}

interface Caller {
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly cwd?: string
  /** As inetd has it: descriptor 2 is the connection, too. */
  readonly logIsConnection?: true
}

/** One connection from a client that waits for what is said to it before each part of its input but the first, and for the end. */
async function connection(
  command: readonly string[],
  input: string | readonly string[],
  caller: Caller = {},
): Promise<Served> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [accepted] = (await once(server, 'connection')) as [Socket]
  server.close()
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    stdio: [accepted, accepted, caller.logIsConnection === true ? accepted : 'pipe'],
    env: { PATH: process.env['PATH'], PROTO: 'TCP', TCPREMOTEIP: '192.0.2.7', ...caller.env },
    ...(caller.uid === undefined ? {} : { uid: caller.uid, gid: caller.uid }),
    ...(caller.cwd === undefined ? {} : { cwd: caller.cwd }),
  })
  accepted.destroy()
  client.setEncoding('latin1')
  const parts = typeof input === 'string' ? [input] : [...input]
  const say = (): void => {
    const part = parts.shift()
    if (part !== undefined && parts.length === 0) client.end(part, 'latin1')
    else if (part !== undefined) client.write(part, 'latin1')
  }
  client.on('data', say)
  if (parts.length === 1) say()
  const [said, log, [code]] = await Promise.all([
    text(client),
    child.stderr === null ? '' : text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { said, log, code }
}

const codes = (said: string): string[] => said.split('\r\n').map((line) => line.slice(0, 4))
const dataOf = (subject: string): string => `Subject: ${subject}\r\n\r\nx\r\n.\r\n`
const message = (subject: string): string => `DATA\r\n${dataOf(subject)}`

describe('programs on descriptors 0 and 1', { concurrency: false }, () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({
      files: {
        'control/badmailfrom': 'bad@sender.test\n',
        'control/others-plug-ins': '[mail]\n:echo "HX-Plugged: $TCPREMOTEIP"\n',
        'queue.sh': '#!/bin/sh\n{ echo "for $TCPREMOTEHOST"; cat; } >>"$0.took"; tr "\\000" "|" <&1 >>"$0.took"\n',
      },
      async prepare(home) {
        await chmod(join(home, 'queue.sh'), 0o755)
        // As a system home is.
        await chmod(home, 0o755)
      },
    })
  })
  after(() => quaver.end())

  const program = (name: string): string => join(quaver.home, 'bin', name)
  const smtp = (input: string | readonly string[], caller?: Caller): Promise<Served> =>
    connection([program('qmail-smtpd')], input, caller)
  const arrives = (subject: string): Promise<string> =>
    quaver
      .message((content) => content.includes(`\nSubject: ${subject}\n`), subject)
      .then((content) => content.toString('latin1'))

  it('qmail-smtpd takes what smtpd would take, as its account, and refuses the same', async () => {
    const { said, log, code } = await smtp(
      [
        'HELO c.test\r\n',
        'MAIL FROM:<a@sender.test>\r\n',
        `RCPT TO:<${demoAddress}>\r\n`,
        'RCPT TO:<nobody@quaver.test>\r\n',
        'RCPT TO:<a@far.test>\r\n',
        'DATA\r\n',
        dataOf('descriptors'),
        'MAIL FROM:<bad@sender.test>\r\n',
        `RCPT TO:<${demoAddress}>\r\n`,
        'QUIT\r\n',
      ],
      { env: { TCPREMOTEHOST: 'c.test', TCPLOCALHOST: 'here.test', RBLSMTPD: '' } },
    )
    assert.deepEqual(
      codes(said),
      ['220 ', '250 ', '250 ', '250 ', '553 ', '553 ', '354 ', '250 ', '250 ', '553 ', '221 ', ''],
      said,
    )
    assert.equal(code, 0)
    assert.match(log, /^qmail-smtpd: refused 192\.0\.2\.7 rcpt from a@sender\.test TO:<a@far\.test>: 553 /m)
    const taken = await arrives('descriptors')
    assert.match(taken, /^Received: \(qmail \d+ invoked from network\); /m)
    assert.match(taken, /^Received: from c\.test \(192\.0\.2\.7\)\n {2}by here\.test with SMTP; /m)
    assert.match(taken, /^Received-SPF: |^Authentication-Results: /m)
  })

  it('RELAYCLIENT, DATABYTES, plug-ins and QMAILQUEUE are the environment’s', async () => {
    const relayed = await smtp(`HELO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<a@far.test>\r\n${message('out')}QUIT\r\n`, {
      env: {
        RELAYCLIENT: '.via',
        QMAILQUEUE: 'queue.sh',
        TCPREMOTEHOST: 'h.test',
        SPPCONFFILE: 'control/others-plug-ins',
      },
    })
    assert.match(relayed.said, /\r\n250 ok \d+ qp \d+\r\n221 /)
    const took = await readFile(join(quaver.home, 'queue.sh.took'), 'latin1')
    assert.match(
      took,
      /^for h\.test\n[^]*X-Plugged: 192\.0\.2\.7\n[^]*Subject: out\n\nx\nFa@b\.test\|Ta@far\.test\.via\|\|$/,
    )
    const small = await smtp(`MAIL FROM:<a@b.test>\r\nRCPT TO:<a@far.test>\r\n${message('large')}`, {
      env: { RELAYCLIENT: '', DATABYTES: '5' },
    })
    assert.match(small.said, /\r\n552 sorry, that message size exceeds my databytes limit \(#5\.3\.4\)\r\n$/)
    assert.equal(small.code, 1)
  })

  it('another user’s mail is that user’s own, and is asked about nowhere', {
    skip: withoutOtherAccounts(),
  }, async () => {
    const input = ['MAIL FROM:<a@b.test>\r\n', `RCPT TO:<${demoAddress}>\r\n`, 'RCPT TO:<nobody@quaver.test>\r\n']
    const { said, code } = await smtp([...input, 'DATA\r\n', dataOf('by a user'), 'QUIT\r\n'], { uid: nobody })
    assert.deepEqual(codes(said), ['220 ', '250 ', '250 ', '250 ', '354 ', '250 ', '221 ', ''], said)
    assert.equal(code, 0)
    assert.match(await arrives('by a user'), new RegExp(`^Received: \\(qmail \\d+ invoked by uid ${nobody}\\); `, 'm'))
  })

  it('a stranger who does not wait for replies is sent away; a script on a pipe is none', async () => {
    const input = `EHLO x\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n`
    assert.match((await smtp(input)).said, /^220 [^\r]+\r\n554 /)
    const child = spawn(program('qmail-smtpd'), { stdio: ['pipe', 'pipe', 'ignore'] })
    child.stdin.end(input)
    assert.match(await text(child.stdout), /\r\n250 2\.1\.0 ok\r\n221 /)
  })

  it('under inetd nothing of the log gets into the session', async () => {
    const { said } = await smtp('MAIL FROM:<a@b.test>\r\nRCPT TO:<a@far.test>\r\nQUIT\r\n', { logIsConnection: true })
    assert.deepEqual(codes(said), ['220 ', '250 ', '553 ', '221 ', ''])
  })

  it('qmail-qmtpd takes what rcpthosts names, qmail-qmqpd all', async () => {
    const body = netstring('\nSubject: by qmtp\n\nx\n')
    const two = netstring(demoAddress) + netstring('a@far.test')
    const qmtp = await connection([program('qmail-qmtpd')], body + netstring('a@b.test') + netstring(two))
    assert.match(
      qmtp.said,
      /^\d+:Kok \d+ qp \d+,66:Dsorry, that domain isn't in my list of allowed rcpthosts \(#5\.7\.1\),$/,
    )
    assert.equal(qmtp.code, 0)
    assert.match(await arrives('by qmtp'), /^Received: from unknown \(192\.0\.2\.7\)\n {2}by unknown with QMTP; /m)
    const parts = netstring('Subject: by qmqp\n\nx\n') + netstring('a@b.test') + netstring(demoAddress)
    assert.match((await connection([program('qmail-qmqpd')], netstring(parts))).said, /^\d+:Kok \d+ qp \d+,$/)
    await arrives('by qmqp')
    assert.deepEqual(await connection([program('qmail-qmqpd')], '3x:'), {
      said: '',
      log: 'qmail-qmqpd: qmqp 192.0.2.7 no netstring: a length that is no number\n',
      code: 100,
    })
  })

  it('behind tcpserver', { skip: without('tcpserver') }, async () => {
    const server = spawn('tcpserver', ['-1RHl0', '127.0.0.1', '0', program('qmail-smtpd')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    try {
      const [port] = (await once(server.stdout, 'data')) as [Buffer]
      const client = connect(Number(String(port)), '127.0.0.1')
      client.write('QUIT\r\n')
      assert.match(await text(client), /^220 quaver\.test ESMTP\r\n221 quaver\.test\r\n$/)
    } finally {
      server.kill()
    }
  })
})

describe('programs on descriptors 0 and 1, with no Quaver running', { concurrency: false }, () => {
  let home = ''
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'quaver-'))
    await chmod(home, 0o755)
    await mkdir(join(home, 'control'))
    await mkdir(join(home, 'queue'))
    await mkdir(join(home, 'queue/drop'))
    await chmod(join(home, 'queue/drop'), 0o1777)
    await writeFile(join(home, 'control/me'), 'me.test\n')
    await writeFile(join(home, 'control/rcpthosts'), 'me.test\n')
  })
  after(() => rm(home, { recursive: true, force: true }))

  /** Its name is its first argument there. */
  const program = (name: string, ...args: readonly string[]): string[] => [launcher, name, '--home', home, ...args]

  it('qmail-smtpd keeps a message for the queue', async () => {
    const input = ['MAIL FROM:<a@b.test>\r\n', 'RCPT TO:<c@me.test>\r\n', 'DATA\r\n', dataOf('waits'), 'QUIT\r\n']
    const { said, code } = await connection(program('qmail-smtpd'), input)
    assert.equal(code, 0, said)
    const [name = ''] = await readdir(join(home, 'queue/drop'))
    const kept = await readFile(join(home, 'queue/drop', name), 'latin1')
    assert.match(kept, /Fa@b\.test\0Tc@me\.test\0[^]*Received: from unknown \(192\.0\.2\.7\)\n[^]*Subject: waits\n/)
  })

  it('qmail-smtpd serves nobody without a name', async () => {
    await rm(join(home, 'control/me'))
    const { said, code } = await connection(program('qmail-smtpd'), 'QUIT\r\n')
    await writeFile(join(home, 'control/me'), 'me.test\n')
    assert.deepEqual([said, code], ['421 unable to read controls (#4.3.0)\r\n', 1])
  })

  describe('POP3', { skip: withoutOtherAccounts() }, () => {
    let mail = ''
    before(async () => {
      mail = await mkdtemp(join(tmpdir(), 'quaver-mail-'))
      for (const part of ['Maildir', 'Maildir/new', 'Maildir/cur', 'Maildir/tmp']) await mkdir(join(mail, part))
      const path = join(mail, 'Maildir/new/1700000000.1.x')
      await writeFile(path, 'Subject: x\n\n.hi\n')
      await utimes(path, 1_700_000_000, 1_700_000_000)
      for (const part of ['', 'Maildir', 'Maildir/new', 'Maildir/cur', 'Maildir/tmp', 'Maildir/new/1700000000.1.x'])
        await chown(join(mail, part), nobody, nobody)
      // As checkpassword(8): 1 for a wrong password, and what follows becomes the session.
      await writeFile(
        join(mail, 'check'),
        '#!/bin/sh\n[ "$(tr "\\000" "|" <&3 | cut -d "|" -f 1,2)" = "joe| se cret" ] || exit 1\nexec "$@"\n',
      )
      await chmod(join(mail, 'check'), 0o755)
    })
    after(() => rm(mail, { recursive: true, force: true }))
    const popup = (input: string, uid: number): Promise<Served> =>
      connection(
        [...program('qmail-popup').slice(0, 2), 'h.test', join(mail, 'check'), ...program('qmail-pop3d', 'Maildir')],
        input,
        { uid, cwd: mail },
      )

    it('qmail-popup hands the rest of the session to qmail-pop3d', async () => {
      const { said, log } = await popup(
        'STAT\r\nUSER joe\r\nPASS  se cret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\nUSER late\r\n',
        nobody,
      )
      assert.match(
        said,
        /^\+OK <\d+\.\d+@h\.test>\r\n-ERR authorization first\r\n\+OK \r\n\+OK \r\n\+OK \r\nSubject: x\r\n\r\n\.\.hi\r\n\r\n\.\r\n\+OK \r\n\+OK \r\n$/,
      )
      assert.match(log, /^qmail-pop3d: pop3 .* messages 1 sent 1 removed 1 end quit$/m)
      assert.deepEqual(await readdir(join(mail, 'Maildir/new')), [])
    })

    it('a wrong password, and the right one of root, end alike', async () => {
      const wrong = await popup('USER joe\r\nPASS x\r\n', nobody)
      const root = await popup('USER joe\r\nPASS  se cret\r\n', 0)
      for (const { said, code } of [wrong, root]) {
        assert.match(said, /^\+OK <[^>]+>\r\n\+OK \r\n-ERR authorization failed\r\n$/)
        assert.equal(code, 1)
      }
      assert.match(root.log, /qmail-pop3d: invoked as uid 0, terminating/)
    })
  })
})
