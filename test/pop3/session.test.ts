/** POP3 after login over a real socket: what a client may do, and what it must not be able to. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { limits } from '../../src/programs/local/pop3/limits.ts'
import { MaildropLocks } from '../../src/stores/maildir/maildrop-locks.ts'
import { quickFiles } from '../../src/system/quick-files.ts'
import { FakeClock, opened, type Pop3Client, pop3Rig } from '#test/kit/pop3-rig.ts'

const body = 'Subject: x\n\none\n.two\nthree\n'
const three = { 'new/1500000000.a': body, 'cur/1500000001.b:2,S': body, 'new/1500000002.c,S=27': body }

describe('POP3 session: the maildrop', () => {
  it('removes at QUIT what was deleted, moves the rest to cur/, and says so to the quota', async (test) => {
    const rig = await pop3Rig(test, three)
    const client = await opened(await rig.open())
    assert.equal(await client.command('DELE 1'), '+OK ')
    assert.equal(await client.command('DELE 2'), '+OK ')
    assert.equal(await client.command('STAT'), '+OK 3 27')
    assert.equal(await client.quit(), '+OK ')
    assert.deepEqual(await rig.listing(), ['cur/1500000002.c,S=27:2,'])
    assert.deepEqual(rig.removed, [{ bytes: 54, messages: 2 }])
    assert.deepEqual(rig.log, ['pop3 joe@example.org 192.0.2.1: messages 3 sent 0 removed 2 end quit'])
  })

  for (const [how, leave] of [
    ['drops the connection', (client: Pop3Client) => client.drop()],
    [
      'closes its half',
      async (client: Pop3Client) => {
        client.socket.end()
        await client.session.ended
      },
    ],
    [
      'sends a QUIT that is not whole',
      async (client: Pop3Client) => {
        client.raw('QUIT')
        client.socket.end()
        await client.session.ended
      },
    ],
    [
      'says RSET before QUIT',
      async (client: Pop3Client) => {
        await client.command('RSET')
        client.socket.destroy()
        await client.session.ended
      },
    ],
  ] as const) {
    it(`changes nothing if the client deletes and then ${how}`, async (test) => {
      const rig = await pop3Rig(test, three)
      const client = await opened(await rig.open())
      for (const number of [1, 2, 3]) assert.equal(await client.command(`DELE ${number}`), '+OK ')
      await leave(client)
      assert.deepEqual(await rig.listing(), Object.keys(three).sort())
      assert.deepEqual(rig.removed, [])
    })
  }

  it('says unique-ids that are the same in the next session, new or seen', async (test) => {
    const rig = await pop3Rig(test, three)
    const first = await opened(await rig.open())
    const ids = await first.listing('UIDL')
    assert.deepEqual(ids, ['1 1500000000.a', '2 1500000001.b', '3 1500000002.c,S=27'])
    await first.command('DELE 1')
    await first.quit()
    const second = await opened(await rig.open({ locks: new MaildropLocks() }))
    assert.deepEqual(await second.listing('UIDL'), ['1 1500000001.b', '2 1500000002.c,S=27'])
    assert.equal(await second.command('UIDL 2'), '+OK 2 1500000002.c,S=27')
  })

  it('does not see what comes meanwhile, and finds what another reader moves', async (test) => {
    const rig = await pop3Rig(test, three)
    const client = await opened(await rig.open())
    assert.equal(await client.command('STAT'), '+OK 3 81')
    await writeFile(`${rig.maildir}new/1400000000.z`, body)
    await rename(`${rig.maildir}new/1500000000.a`, `${rig.maildir}cur/1500000000.a:2,S`)
    await unlink(`${rig.maildir}cur/1500000001.b:2,S`)
    assert.equal(await client.command('STAT'), '+OK 3 81')
    assert.deepEqual(await client.listing('RETR 1'), ['Subject: x', '', 'one', '..two', 'three', ''])
    assert.equal(await client.command('RETR 2'), '-ERR unable to open that message')
    assert.equal(await client.quit(), '+OK ')
    assert.ok((await rig.listing()).includes('new/1400000000.z'))
  })

  it('says when a deletion failed', async (test) => {
    const rig = await pop3Rig(test, three)
    const remove = (): never => {
      throw Object.assign(new Error('no'), { code: 'EROFS' })
    }
    const client = await opened(await rig.open({ files: { ...quickFiles, remove } }))
    await client.command('DELE 2')
    assert.equal(await client.quit(), '-ERR unable to unlink all deleted messages')
    assert.deepEqual(rig.removed, [])
  })
})

describe('POP3 session: who may open it', () => {
  it('is one at a time', async (test) => {
    const rig = await pop3Rig(test, three)
    const first = await opened(await rig.open())
    const second = await rig.open()
    assert.match(await second.rest(), /^-ERR \[IN-USE\] [^\r\n]*\r\n$/)
    await second.session.ended
    assert.equal(await first.command('NOOP'), '+OK ')
    await first.quit()
    const third = await opened(await rig.open())
    await third.drop()
    await opened(await rig.open())
  })

  it('says that there is no Maildir, or that it cannot be read', async (test) => {
    const rig = await pop3Rig(test, {})
    await rm(`${rig.maildir}new`, { recursive: true })
    assert.equal(await (await rig.open()).rest(), '-ERR [SYS/TEMP] unable to scan $HOME/Maildir\r\n')
    await mkdir(`${rig.maildir}new`)
    await opened(await rig.open()).then((client) => client.drop())
    await rm(rig.maildir, { recursive: true })
    assert.equal(await (await rig.open()).rest(), '-ERR [SYS/PERM] this user has no $HOME/Maildir\r\n')
    await writeFile(rig.maildir.slice(0, -1), 'a file')
    assert.equal(await (await rig.open()).rest(), '-ERR [SYS/PERM] this user has no $HOME/Maildir\r\n')
  })

  it('is told when the process ends, after what runs', async (test) => {
    const rig = await pop3Rig(test, three)
    const client = await opened(await rig.open())
    await client.command('DELE 1')
    client.session.shutdown()
    assert.equal(await client.rest(), '-ERR [SYS/TEMP] shutting down, try again soon\r\n')
    await client.session.ended
    const opening = await rig.open()
    opening.session.shutdown()
    assert.equal(await opening.rest(), '-ERR [SYS/TEMP] shutting down, try again soon\r\n')
    assert.deepEqual(await rig.listing(), Object.keys(three).sort())
  })
})

describe('POP3 session: commands', () => {
  it('clamps numbers, and knows no negative ones', async (test) => {
    const rig = await pop3Rig(test, three)
    const client = await opened(await rig.open())
    const whole = ['Subject: x', '', 'one', '..two', 'three', '']
    for (const lines of ['', ' -1', ' 2147483648', ` ${'9'.repeat(200)}`, ' x'])
      assert.deepEqual(await client.listing(`TOP 1${lines}`), whole, lines)
    assert.deepEqual(await client.listing('TOP 1 0'), ['Subject: x', '', ''])
    assert.deepEqual(await client.listing('TOP 1 2'), ['Subject: x', '', 'one', '..two', ''])
    for (const verb of ['RETR', 'DELE', 'TOP', 'LIST', 'UIDL']) {
      assert.equal(await client.command(`${verb} -1`), '-ERR syntax error')
      assert.equal(await client.command(`${verb} 0`), '-ERR messages are counted from 1')
      for (const number of ['4', '2147483648', '4294967297', '18446744073709551617', '9'.repeat(200)])
        assert.equal(await client.command(`${verb} ${number}`), '-ERR not that many messages')
    }
    assert.equal(await client.command('STAT'), '+OK 3 81')
  })

  it('says what it can do', async (test) => {
    const client = await opened(await (await pop3Rig(test, three)).open())
    const capabilities = await client.listing('CAPA')
    for (const capability of ['TOP', 'UIDL', 'RESP-CODES', 'UTF8']) assert.ok(capabilities.includes(capability))
    assert.ok(!capabilities.includes('STLS'))
    assert.equal(await client.command('UTF8'), '+OK ')
    for (const verb of ['STLS', 'USER joe', 'LANG', 'XYZZY', '', '\0\xff'])
      assert.equal(await client.command(verb), '-ERR unimplemented')
  })

  const script =
    'STAT\r\nlist\nUIDL 1\r\nRETR 1\r\nTOP 1 1\r\nDELE 1\r\nRETR 1\r\nLAST\r\nRSET\r\nDELE 3\r\nFOO\r\nQUIT\r\n'

  it('answers commands that come together, or byte by byte, as it answers them one by one', async (test) => {
    const answers: string[] = []
    for (const pieces of [[script], script.split(''), script.split(/(?<=\n)/)]) {
      const rig = await pop3Rig(test, three)
      const client = await rig.open()
      client.socket.setNoDelay(true)
      for (const piece of pieces) {
        client.raw(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
      answers.push(await client.rest())
      assert.deepEqual(await rig.listing(), ['cur/1500000000.a:2,', 'cur/1500000001.b:2,S'])
    }
    assert.equal(new Set(answers).size, 1)
    assert.match(
      answers[0] ?? '',
      /^\+OK \r\n\+OK 3 81\r\n\+OK \r\n1 27\r\n2 27\r\n3 27\r\n\.\r\n\+OK 1 1500000000\.a\r\n/,
    )
  })

  it('answers commands cut in two anywhere', async (test) => {
    const short = 'STAT\r\nDELE 1\r\nRSET\r\nLAST\r\n'
    const rig = await pop3Rig(test, three)
    for (let cut = 1; cut < short.length; cut++) {
      const client = await rig.open()
      client.raw(short.slice(0, cut))
      await new Promise((resolve) => setImmediate(resolve))
      client.raw(short.slice(cut))
      client.socket.end()
      assert.equal(await client.rest(), '+OK \r\n+OK 3 81\r\n+OK \r\n+OK \r\n+OK 0\r\n')
      await client.session.ended
    }
  })

  it('ends at a line that is too long, whole or not, and deletes nothing', async (test) => {
    const rig = await pop3Rig(test, three)
    for (const line of [`NOOP ${'x'.repeat(260)}\r\n`, 'x'.repeat(100_000)]) {
      const client = await opened(await rig.open())
      await client.command('DELE 1')
      client.raw(line)
      assert.equal(await client.rest(), '-ERR line too long\r\n')
      await client.drop()
    }
    const client = await opened(await rig.open())
    assert.equal(await client.command(`NOOP ${'x'.repeat(250)}`), '+OK ')
    assert.deepEqual(await rig.listing(), Object.keys(three).sort())
  })
})

describe('POP3 session: time', () => {
  it('ends without a word when no whole command comes for timeoutpop3d', async (test) => {
    const rig = await pop3Rig(test, three)
    const clock = new FakeClock()
    const client = await opened(await rig.open({ clock, idleSecondsMax: () => 600 }))
    await client.command('DELE 1')
    clock.pass(599_000)
    client.session.tick()
    // A byte now and then is no command.
    client.raw('NO')
    while (client.far.bytesRead < 'DELE 1\r\nNO'.length) await new Promise((resolve) => setTimeout(resolve, 5))
    clock.pass(2000)
    client.session.tick()
    assert.equal(await client.rest(), '')
    await client.session.ended
    assert.deepEqual(await rig.listing(), Object.keys(three).sort())
    assert.match(rig.log.at(-1) ?? '', /end idle$/)
  })

  it('gives up a client that does not read, and lets others in', async (test) => {
    const rig = await pop3Rig(test, { 'new/1500000000.a': Buffer.alloc(4 * 1024 * 1024, 'x\n') })
    const clock = new FakeClock()
    const client = await opened(await rig.open({ clock }))
    client.socket.pause()
    client.raw('RETR 1\r\nNOOP\r\n')
    while (client.far.writableLength === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    clock.pass(limits.stallMillisecondsMax + 1)
    client.session.tick()
    await client.session.ended
    assert.match(rig.log.at(-1) ?? '', /end slow$/)
    await opened(await rig.open())
  })
})

describe('POP3 session: large messages', () => {
  it('sends 50 MB whole, a piece at a time, to a client that reads slowly', async (test) => {
    const line = `${'.0123456789abcdef'.repeat(4)}\n`
    const content = Buffer.from(line.repeat(Math.ceil(50_000_000 / line.length)))
    const rig = await pop3Rig(test, { 'new/1500000000.a': content })
    // What the session reads ahead of the client is what it holds, and what the kernel takes.
    let readBytes = 0
    const files = {
      ...quickFiles,
      async readFromDisk(fd: number, buffer: Buffer, position: number) {
        const count = await quickFiles.readFromDisk(fd, buffer, position)
        readBytes += count
        return count
      },
    }
    const client = await opened(await rig.open({ files }))
    client.socket.pause()
    client.socket.removeAllListeners('data')
    client.raw('RETR 1\r\n')
    while (client.far.writableLength === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const ahead = readBytes
    assert.ok(ahead < 4 * 1024 * 1024, `${ahead} bytes read for a client that reads none`)
    assert.ok(client.far.writableLength <= limits.pieceBytes)
    let receivedBytes = 0
    let dotLines = 0
    let last = ''
    let most = 0
    await new Promise<void>((resolve) => {
      client.socket.on('data', (chunk: Buffer) => {
        most = Math.max(most, client.far.writableLength)
        receivedBytes += chunk.length
        const text = last + chunk.toString('latin1')
        dotLines += text.split('\r\n..0').length - 1
        last = text.slice(-4)
        if (text.endsWith('\r\n\r\n.\r\n')) resolve()
      })
      client.socket.resume()
    })
    const lines = content.length / line.length
    // CR and a dot a line, and what is around them.
    assert.equal(receivedBytes, '+OK \r\n'.length + content.length + 2 * lines + '\r\n.\r\n'.length)
    assert.ok(dotLines > lines * 0.99)
    assert.ok(most <= limits.pieceBytes, `${most} bytes waited in the process`)
  })

  it('lists 100,000 messages, a piece at a time', async (test) => {
    const rig = await pop3Rig(test, {})
    const names = Array.from({ length: 100_000 }, (_, at) => `${1_500_000_000 + at}.M1P2Q3R4.mail.example.org,S=${at}`)
    const files = { ...quickFiles, listFiles: (path: string) => (path.endsWith('/cur/') ? [names.toReversed()] : []) }
    const client = await opened(await rig.open({ files }))
    client.socket.pause()
    client.raw('UIDL\r\nLIST\r\n')
    while (client.far.writableLength === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.ok(client.far.writableLength <= limits.pieceBytes, `${client.far.writableLength} bytes wait`)
    client.socket.resume()
    assert.equal(await client.line(), '+OK ')
    assert.deepEqual(
      await client.lines(),
      names.map((name, at) => `${at + 1} ${name}`),
    )
    assert.equal(await client.line(), '+OK ')
    assert.equal((await client.lines()).at(-1), '100000 99999')
    assert.equal(await client.command('STAT'), `+OK 100000 ${(100_000 * 99_999) / 2}`)
  })

  it('does not end a message with a dot that could not be read to its end', async (test) => {
    const rig = await pop3Rig(test, { 'new/1500000000.a': Buffer.alloc(200_000, 'x\n') })
    const readFromDisk = (fd: number, buffer: Buffer, position: number): Promise<number> =>
      position > 100_000 ? Promise.reject(new Error('EIO')) : quickFiles.readFromDisk(fd, buffer, position)
    const client = await opened(await rig.open({ files: { ...quickFiles, readFromDisk } }))
    client.raw('DELE 1\r\nRSET\r\nRETR 1\r\nQUIT\r\n')
    assert.ok(!(await client.rest()).includes('\r\n.\r\n'))
    await client.session.ended
    assert.equal((await readFile(`${rig.maildir}new/1500000000.a`)).length, 200_000)
  })

  it('goes on with other sessions while one is being read', async (test) => {
    const big = await pop3Rig(test, { 'new/1500000000.a': Buffer.alloc(20_000_000, 'x\n') })
    const small = await pop3Rig(test, three)
    const reader = await opened(await big.open())
    reader.socket.pause()
    reader.raw('RETR 1\r\n')
    while (reader.far.writableLength === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const client = await opened(await small.open())
    assert.equal((await client.listing('RETR 1')).length, 6)
    assert.equal(await client.quit(), '+OK ')
  })
})
