/** Two users of a system home do what they can to the queue, to lspawn and to their own `local`, each in his own way. The
 *  third gets his mail in time all the while, from the network and from himself. Skipped where that cannot be tried. */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { encodeHello } from '../../src/contracts/hello.ts'
import { everyService, until } from '#test/kit/instance.ts'
import { allProcesses, commandLine, programOf } from '#test/kit/processes.ts'
import { SmtpClient } from '#test/kit/smtp-client.ts'
import { SystemInstance, uidOf, withoutSystemHome } from '#test/kit/system-instance.ts'

const delayMillisecondsMax = 10_000
/** More than there are local slots. */
const messagesOfEach = 120
const users = { holder: 'bin', looper: 'sync', reader: 'lp' } as const
type User = keyof typeof users

/** Connects more often than it may; half of the connections begin a large frame, and none says anything more. */
const flood = `
  const { connect } = require('node:net')
  const [path, hello] = process.argv.slice(1)
  const part = Buffer.alloc(500_000)
  part.writeUInt32BE(1_900_000, 0)
  part.writeUInt8(16, 4)
  for (let n = 0; n < 1000; n++) {
    const socket = connect({ path }).on('error', () => undefined)
    socket.write(Buffer.from(hello, 'hex'))
    if (n % 2 === 0) socket.write(part)
  }
  setTimeout(() => console.log('flooded'), 200)
  setInterval(() => undefined, 60_000)`

/** Hands in a message for each line it is told, on a connection of its own, and says how that went. */
const handIn = `
  const [enqueue, envelope, clock, frames, path, recipient] = process.argv.slice(1)
  Promise.all([enqueue, envelope, clock, frames].map((file) => import(file))).then(
    ([{ EnqueueClient }, { noParams }, { realClock }, { connectPath }]) => {
    require('node:readline').createInterface({ input: process.stdin }).on('line', async (subject) => {
      const client = new EnqueueClient(() => connectPath(path), realClock)
      const content = Buffer.from('Subject: ' + subject + '\\n\\nhello\\n')
      const sink = client.open({ sender: '', recipients: [recipient] }, noParams)
      await sink.write(content)
      const outcome = await sink.close('', noParams)
      client.close()
      console.log(JSON.stringify(outcome))
    })
  })`

describe('hostile users', { skip: withoutSystemHome(...Object.values(users)), concurrency: false }, () => {
  let instance: SystemInstance
  const children: ChildProcessByStdio<Writable, Readable, null>[] = []
  const homeOf = (user: User): string => join(instance.home, 'mail/example.test', user)

  before(async () => {
    instance = await SystemInstance.start(...everyService)
    for (const [user, account] of Object.entries(users))
      await instance.quaver('', 'account', 'add', `${user}@example.test`, '--user', account)
    // Programs that do not end before this test does.
    writeFile('holder', '.qmail-default', `|while test -d ${instance.beside('holding')}; do sleep 0.3; done\n`)
    writeFile('looper', '.qmail-a', '&looper-b@example.test\n&looper-c@example.test\n')
    writeFile('looper', '.qmail-b', '&looper-a@example.test\n')
    writeFile('looper', '.qmail-c', '&looper-b@example.test\n|exit 111\n')
  })
  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await instance.end()
  })

  it('the third has his mail within ten seconds', async () => {
    const path = join(instance.home, 'run/queue-inject.sock')
    const hello = encodeHello({ purpose: 'enqueue', uid: 0 }).toString('hex')
    const flooding = spawnAs('holder', flood, path, hello)
    const sources = [
      'clients/queue/enqueue.ts',
      'contracts/envelope.ts',
      'system/clock.ts',
      'system/frame-connection.ts',
    ]
    const modules = sources.map((name) => join(import.meta.dirname, '../../src', name))
    const reader = spawnAs('reader', handIn, ...modules, path, 'reader@example.test')
    const answers = createInterface({ input: reader.stdout })[Symbol.asyncIterator]()
    const client = await SmtpClient.greeted(instance.portOf('smtp'))
    const send = async (to: string): Promise<void> => {
      await client.send({ from: '', to: [to], content: 'Subject: from the network\r\n\r\nhello\r\n' })
    }
    await once(flooding.stdout, 'data')
    const stopping = setInterval(() => stopLocals(), 100)
    try {
      for (let n = 0; n < messagesOfEach; n++) await send(`holder-${n}@example.test`)
      for (let n = 0; n < messagesOfEach; n++) await send(`looper-a@example.test`)
      for (let round = 1; round <= 5; round++) {
        const begun = performance.now()
        await send('reader@example.test')
        reader.stdin.write('from himself\n')
        const { value } = await answers.next()
        assert.match(String(value), /"done":true/)
        await until('the mail of the reader', 3 * delayMillisecondsMax, () =>
          Promise.resolve(readdirSync(join(homeOf('reader'), 'Maildir/new')).length === 2 * round || undefined),
        )
        const delay = performance.now() - begun
        assert.ok(delay < delayMillisecondsMax, `${delay} ms`)
      }
      assert.match(instance.log(), new RegExp(`local of uid ${uidOf(users.holder)} was stopped, and is ended`))
    } finally {
      clearInterval(stopping)
    }
  })

  function writeFile(user: User, name: string, text: string): void {
    const path = join(homeOf(user), name)
    writeFileSync(path, text)
    chownSync(path, uidOf(users[user]), -1)
  }

  function spawnAs(
    user: User,
    program: string,
    ...args: readonly string[]
  ): ChildProcessByStdio<Writable, Readable, null> {
    const uid = uidOf(users[user])
    const child = spawn(process.execPath, ['-e', program, ...args], {
      uid,
      gid: uid,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.push(child)
    return child
  }

  /** Each `local` of the holder, as often as there is a new one. */
  function stopLocals(): void {
    for (const { pid } of allProcesses()) {
      const args = commandLine(pid)
      const isLocal = args.includes(instance.home) && programOf(pid) === 'local'
      if (isLocal && uidOfProcess(pid) === uidOf(users.holder)) process.kill(pid, 'SIGSTOP')
    }
  }
})

function uidOfProcess(pid: number): number {
  try {
    return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])
  } catch {
    return Number.NaN
  }
}
