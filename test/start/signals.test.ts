/** Every signal there is, sent to every program: mail still flows, nobody ends or stops, no debugger opens. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { askAdmin, demoAddress, everyService, Instance, launcher, until } from '#test/kit/instance.ts'
import { programOf, groupOf } from '#test/kit/processes.ts'
import { deliver } from '#test/kit/smtp-client.ts'

const { signals } = constants
/** KILL and STOP are the system's; the faults end a process for good reason; TERM and INT stop, which others test. */
const leftOut: ReadonlySet<number> = new Set([
  signals.SIGKILL,
  signals.SIGSTOP,
  signals.SIGSEGV,
  signals.SIGBUS,
  signals.SIGILL,
  signals.SIGFPE,
  signals.SIGABRT,
  signals.SIGTRAP,
  signals.SIGTERM,
  signals.SIGINT,
  // glibc's own.
  32,
  33,
])
const sent = Array.from({ length: 64 }, (_, at) => at + 1).filter((number) => !leftOut.has(number))
const waitMillisecondsMax = 20_000

interface Row {
  readonly recipients: readonly { readonly address: string; readonly lastMs: number }[]
}

describe('signals', { concurrency: false }, () => {
  let quaver: Instance
  before(async () => {
    quaver = await Instance.start({
      // Nobody answers there: what is remote waits.
      files: { 'control/listen-qread': '127.0.0.1:0\n', 'control/dnsservers': '127.0.0.1:1\n' },
      services: [...everyService, 'qread'],
      // By way of the command, which takes this away.
      launcher,
      env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' },
    })
  })
  after(() => quaver.end())

  const send = async (subject: string): Promise<void> => {
    await deliver(quaver.smtpPort, {
      from: 'a@client.test',
      to: [demoAddress],
      content: `Subject: ${subject}\r\n\r\nhello\r\n`,
    })
    await quaver.message((content) => content.includes(`Subject: ${subject}\n`), subject)
  }

  it('that mean nothing here end no program, stop none, and open no debugger', async () => {
    await send('before')
    const pids = groupOf(quaver.pid).map(({ pid }) => pid)
    const names = pids.map(programOf)
    for (const name of ['start', 'queue', 'lspawn', 'local', 'remote', 'policy', 'exec', 'smtpd', 'authd', 'qread'])
      assert.ok(names.includes(name), name)
    assert.equal(names.filter((name) => name === 'login').length, 2)
    const listening = listeningSockets(pids)
    for (const pid of pids) for (const signal of sent) process.kill(pid, signal)
    await send('after')

    assert.deepEqual(
      groupOf(quaver.pid).map(({ pid }) => pid),
      pids,
    )
    for (const pid of pids) assert.doesNotMatch(readFileSync(`/proc/${pid}/stat`, 'latin1'), /\) [TtZ] /, String(pid))
    assert.deepEqual(listeningSockets(pids), listening)
    const said = readFileSync(join(quaver.home, 'log/terminal'), 'latin1') + (await quaver.log())
    assert.doesNotMatch(said, /[Dd]ebugger/)
  })

  it('ALRM, to start or to the queue, has all that waits tried again at once', async () => {
    const address = 'jane@far.test'
    const lastTry = async (): Promise<number | undefined> => {
      const rows = (await askAdmin(join(quaver.home, 'run/queue-admin.sock'), { op: 'list' })) as Row[]
      const recipient = rows.flatMap(({ recipients }) => recipients).find((one) => one.address === address)
      return recipient?.lastMs === 0 ? undefined : recipient?.lastMs
    }
    await deliver(quaver.smtpPort, { from: 'a@client.test', to: [address], content: 'Subject: x\r\n\r\nhello\r\n' })
    let last = await until('the first try', waitMillisecondsMax, lastTry)
    for (const program of ['start', 'queue']) {
      const earlier = last
      process.kill(await quaver.pidOf(program), 'SIGALRM')
      last = await until(`a try after ALRM to ${program}`, waitMillisecondsMax, async () => {
        const now = await lastTry()
        return now !== undefined && now > earlier ? now : undefined
      })
    }
  })
})

/** Inodes of the TCP sockets that these processes listen on; none where it is not root who looks: what they have open is shown
 *  to nobody else. */
function listeningSockets(pids: readonly number[]): string[] {
  if (process.getuid?.() !== 0) return []
  const listening = new Set<string>()
  for (const table of ['tcp', 'tcp6'])
    for (const line of readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      if (fields[3] === '0A') listening.add(`socket:[${fields[9]}]`)
    }
  const held = pids.flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)))
  return [...new Set(held.filter((link) => listening.has(link)))].sort()
}

/** Empty if it was closed since it was listed. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
