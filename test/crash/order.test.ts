/** The order of system calls behind our two promises, seen from outside with strace: sync before 250, and sync of file and
 *  directory before a local delivery is reported. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { demoAddress, Instance } from '#test/kit/instance.ts'
import { deliver } from '#test/kit/smtp-client.ts'
import { attachStrace, cannotTrace } from '#test/kit/strace.ts'

const tracedCalls =
  'fsync,fdatasync,write,pwrite64,pwritev,writev,sendto,sendmsg,rename,renameat,renameat2,link,linkat,openat'
const largeLines = 3000

interface Call {
  readonly pid: number
  readonly name: string
  /** The whole line: arguments, paths of descriptors, result. */
  readonly text: string
}

const skip = await cannotTrace()

describe('order of system calls', { concurrency: false }, () => {
  let instance: Instance
  let directory = ''
  before(async () => {
    if (skip !== false) return
    directory = await mkdtemp(join(tmpdir(), 'quaver-trace-'))
    instance = await Instance.start()
    // The user's local is there from now on, so that it can be traced too.
    await deliver(instance.smtpPort, { from: 'a@client.test', to: [demoAddress], content: 'Subject: first\r\n' })
    await instance.message((content) => content.includes('Subject: first\n'), 'the first message')
    await instance.drained(10_000)
  })
  after(async () => {
    if (skip !== false) return
    await instance.end()
    await rm(directory, { recursive: true, force: true })
  })

  for (const [kind, lines] of [
    ['small', 1],
    ['large', largeLines],
  ] as const) {
    it(`a ${kind} message`, { skip }, async () => {
      const trace = await traced(`Subject: ${kind}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(lines)}`, kind)
      const replied = last(trace, 'smtpd', /250 (2\.0\.0 )?ok \d+ qp/)
      const marker = 'queue.db-wal'
      const written = trace.calls.findIndex(
        ({ pid, text }) => trace.is('queue', pid) && /^p?writev?6?4?\(/.test(text) && text.includes(marker),
      )
      const synced = trace.calls.findIndex(
        ({ text, name }, at) => at > written && /^f(data)?sync$/.test(name) && text.includes(marker),
      )
      assert.ok(written >= 0, 'the queue wrote its log')
      assert.ok(synced > written && synced < replied, `written ${written}, synced ${synced}, 250 at ${replied}`)
      if (kind === 'large') {
        const file = first(trace, 'queue', /^f(data)?sync\(\d+<[^>]*\/queue\/content\/[^>]+>/)
        const entry = first(trace, 'queue', /^f(data)?sync\(\d+<[^>]*\/queue\/content>/)
        assert.ok(file >= 0 && entry > file && entry < synced, `file ${file}, directory ${entry}, row ${synced}`)
      }

      const file = first(trace, 'local', /^f(data)?sync\(\d+<[^>]*\/Maildir\/tmp\/[^>]+>/)
      const moved = first(trace, 'local', /^(rename|link)(at2?)?\(.*\/new\//)
      const entry = first(trace, 'local', /^f(data)?sync\(\d+<[^>]*\/Maildir\/new>/)
      assert.ok(file >= 0, 'the file was synced')
      assert.ok(moved > file && entry > moved, `file ${file}, moved ${moved}, directory ${entry}`)
      const reported = first(trace, 'local', /^(write|writev|sendto|sendmsg)\(.*did \d/)
      assert.ok(reported > entry, `reported ${reported}, the directory was synced at ${entry}`)
    })
  }

  interface Trace {
    readonly calls: readonly Call[]
    is(program: string, thread: number): boolean
  }

  const first = (trace: Trace, program: string, pattern: RegExp): number =>
    trace.calls.findIndex(({ pid, text }) => trace.is(program, pid) && pattern.test(text))
  const last = (trace: Trace, program: string, pattern: RegExp): number => {
    const at = trace.calls.findLastIndex(({ pid, text }) => trace.is(program, pid) && pattern.test(text))
    assert.ok(at >= 0, `${program} never did ${pattern.source}`)
    return at
  }

  async function traced(content: string, name: string): Promise<Trace> {
    const output = join(directory, name)
    const tracing = await attachStrace(
      instance,
      ['smtpd', 'queue', 'local'],
      ['-y', '-s', '256', '-e', `trace=${tracedCalls}`, '-o', output],
    )
    try {
      await deliver(instance.smtpPort, { from: 'a@client.test', to: [demoAddress], content })
      await instance.message((found) => found.includes(`Subject: ${name}\n`), name)
      await instance.drained(10_000)
    } finally {
      await tracing.end()
    }
    const lines = joined((await readFile(output, 'latin1')).split('\n'))
    return { calls: lines, is: (program, thread) => tracing.threads.get(thread) === program }
  }
})

/** Calls in the order in which they ended: an unfinished one counts from its `resumed` line, with its own arguments. */
function joined(lines: readonly string[]): Call[] {
  const unfinished = new Map<number, string>()
  const ended: Call[] = []
  for (const line of lines) {
    const [, id, rest] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (id === undefined || rest === undefined) continue
    const pid = Number(id)
    if (rest.endsWith('<unfinished ...>')) {
      const begun = rest.slice(0, -'<unfinished ...>'.length)
      // A write counts from its beginning: that is when it may be seen. A sync counts from its end.
      if (begun.startsWith('f')) unfinished.set(pid, begun)
      else ended.push(call(pid, begun))
    } else if (/^<\.\.\. \w+ resumed>/.test(rest)) {
      const begun = unfinished.get(pid)
      if (begun !== undefined) ended.push(call(pid, begun + rest.replace(/^<\.\.\. \w+ resumed>/, '')))
      unfinished.delete(pid)
    } else ended.push(call(pid, rest))
  }
  return ended
}

function call(pid: number, text: string): Call {
  return { pid, name: /^\w+/.exec(text)?.[0] ?? '', text }
}
