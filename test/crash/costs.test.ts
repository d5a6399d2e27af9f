/** What a small message costs, counted: system calls and syncs of the programs on its way; and how often the bytes of a large one
 *  are moved. The figures do not depend on how fast the machine is, and are today's: a change that costs more says so here first.
 *  One client, one message after another on one connection, nothing shared with others. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance, until } from '#test/kit/instance.ts'
import { SmtpClient } from '#test/kit/smtp-client.ts'
import { attachStrace, cannotTrace } from '#test/kit/strace.ts'

const messages = 20
const programs = ['smtpd', 'queue', 'local'] as const
const syncs: ReadonlySet<string> = new Set(['fsync', 'fdatasync'])
/** Waiting, waking and memory are the runtime's, and control files are looked at by the clock: they differ from run to run. */
const notCounted =
  /^(?:futex|epoll_\w+|poll|restart_syscall|m(?:un)?map|mprotect|madvise|mremap|brk|rt_sig\w+|sched_yield|clock_\w+|gettid|getpid|rseq|set_robust_list|clone3?|membarrier|eventfd2|statx|newfstatat|getrusage)$/

/** Wake-ups between threads, lines of the log, which are gathered by the clock, and the kernel's table of sockets, which has as
 *  many rows as the machine has connections. */
const notForTheMessage = /^\d+ +\w+\(\d+<(?:anon_inode:\[eventfd\]|pipe:\[\d+\]|\/proc\/\d+\/net\/tcp6?)>/

/** A message, rounded up. */
const callsMax: Readonly<Record<(typeof programs)[number], number>> = { smtpd: 13, queue: 25, local: 14 }
const syncsMax: Readonly<Record<(typeof programs)[number], number>> = { smtpd: 0, queue: 2, local: 2 }

const largeLines = 20_000
const movingCalls = 'read,readv,pread64,preadv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg'
/** Times that the bytes of a large message are read and written. The queue moves none of them. */
const copiesMax: Readonly<Record<(typeof programs)[number], readonly [read: number, written: number]>> = {
  smtpd: [1.1, 1.1],
  queue: [0.1, 0.1],
  local: [1.3, 1.1],
}

/** Which thread, which call, how many bytes: a call that others interrupted ends in a line of its own. */
const endedCall = /^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed>).* = (\d+)$/

const skip = await cannotTrace()

describe('the cost of a small message', { concurrency: false }, () => {
  let instance: Instance
  let directory = ''
  before(async () => {
    if (skip !== false) return
    directory = await mkdtemp(join(tmpdir(), 'quaver-costs-'))
    instance = await Instance.start()
    await send(3)
  })
  after(async () => {
    if (skip !== false) return
    await instance.end()
    await rm(directory, { recursive: true, force: true })
  })

  async function send(count: number, body = 'x'.repeat(70)): Promise<void> {
    const client = await SmtpClient.greeted(instance.smtpPort)
    for (let n = 0; n < count; n++) {
      const there = (await instance.delivered()).size
      await client.command('MAIL FROM:<a@client.test>', 250)
      await client.command(`RCPT TO:<${demoAddress}>`, 250)
      await client.command('DATA', 354)
      await client.command(`Subject: ${n}\r\n\r\n${body}\r\n.`, 250)
      await until('the message', 20_000, async () => (await instance.delivered()).size > there || undefined)
    }
    await client.command('QUIT', 221)
    await instance.drained(10_000)
  }

  it('is no more than it was', { skip }, async (t) => {
    const output = join(directory, 'calls')
    const tracing = await attachStrace(instance, programs, ['-y', '-o', output])
    try {
      await send(messages)
    } finally {
      await tracing.end()
    }
    const calls = new Map<string, number>()
    const synced = new Map<string, number>()
    for (const line of (await readFile(output, 'latin1')).split('\n')) {
      const [, thread = '', name = ''] = /^(\d+) +(\w+)\(/.exec(line) ?? []
      const program = tracing.threads.get(Number(thread))
      if (program === undefined || notCounted.test(name) || notForTheMessage.test(line)) continue
      calls.set(program, (calls.get(program) ?? 0) + 1)
      if (syncs.has(name)) synced.set(program, (synced.get(program) ?? 0) + 1)
    }
    for (const program of programs) {
      const perMessage = (calls.get(program) ?? 0) / messages
      const syncsPerMessage = (synced.get(program) ?? 0) / messages
      t.diagnostic(`${program}: ${perMessage.toFixed(1)} calls, ${syncsPerMessage.toFixed(2)} syncs a message`)
      assert.ok(
        perMessage <= callsMax[program],
        `${program}: ${perMessage} calls a message, ${callsMax[program]} at most`,
      )
      // Now and then SQLite carries its log over, which costs two more.
      assert.ok(syncsPerMessage <= syncsMax[program] + 0.2, `${program}: ${syncsPerMessage} syncs a message`)
    }
    // Of a thread that was begun meanwhile nobody knows whose it is.
    for (const program of ['queue', 'local']) {
      const seen = synced.get(program) ?? 0
      assert.ok(seen >= messages / 2, `${seen} syncs of ${program} were seen`)
    }
  })

  it('of a large one is its bytes, from the network to the queue’s file and from there to the Maildir, once each', {
    skip,
  }, async (t) => {
    const output = join(directory, 'bytes')
    const line = `${'x'.repeat(70)}\r\n`
    const bodyBytes = largeLines * 71
    const tracing = await attachStrace(instance, programs, ['-y', '-e', `trace=${movingCalls}`, '-o', output])
    try {
      await send(1, line.repeat(largeLines).slice(0, -2))
    } finally {
      await tracing.end()
    }
    const read = new Map<string, number>()
    const written = new Map<string, number>()
    for (const one of (await readFile(output, 'latin1')).split('\n')) {
      if (notForTheMessage.test(one)) continue
      const [, thread = '', name = '', count = ''] = endedCall.exec(one) ?? []
      const program = tracing.threads.get(Number(thread))
      if (program === undefined) continue
      const sums = /read|recv/.test(name) ? read : written
      sums.set(program, (sums.get(program) ?? 0) + Number(count))
    }
    const times = (sums: ReadonlyMap<string, number>, program: string): number => (sums.get(program) ?? 0) / bodyBytes
    for (const [program, [readMax, writtenMax]] of Object.entries(copiesMax)) {
      t.diagnostic(
        `${program}: ${times(read, program).toFixed(2)} times read, ${times(written, program).toFixed(2)} times written`,
      )
      assert.ok(times(read, program) <= readMax, `${program} reads ${read.get(program)} bytes for ${bodyBytes}`)
      assert.ok(
        times(written, program) <= writtenMax,
        `${program} writes ${written.get(program)} bytes for ${bodyBytes}`,
      )
    }
  })
})
