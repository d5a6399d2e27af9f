/** `node bench/logins.ts`: how much do logins delay mail? Single messages on port 25 in turn, from the connection to the
 *  250, without and with logins offered at a rate: wrong and right passwords, POP3 and submission, from many addresses.
 *  The load and the clock are in processes of their own. The load's time on the processor is the machine's, too, which it
 *  would not be in life: it runs at a low priority. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { availableParallelism, loadavg, setPriority } from 'node:os'
import { parseArgs } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { demoAddress, demoPassword, everyService, Instance } from '../test/kit/instance.ts'
import { MailClient, popLogin, smtpLogin } from '../test/kit/mail-client.ts'
import { cpuMilliseconds, residentBytes } from '../test/kit/processes.ts'

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
    runs: { type: 'string', default: '3' },
    idle: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    role: { type: 'string', default: '' },
    port: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})

const usage = `node bench/logins.ts [--seconds N] [--rate N] [--runs N] [--idle N] [--only KIND]
  --seconds  of each measurement (10)
  --rate     logins offered a second (200)
  --runs     measurements of each kind (3)
  --idle     connections before login whose memory is measured (1000)
  --only     a kind: none, handshakes, wrong, right or mixed`

/** `handshakes`: TLS and QUIT. A load is offered whatever becomes of what was offered before. */
const kinds = ['none', 'handshakes', 'wrong', 'right', 'mixed'] as const
type Kind = (typeof kinds)[number]

/** Whose time on the processor is told, with what it has started. */
const watched = ['smtpd', 'queue', 'policy', 'lspawn', 'local', 'authd', 'ofmipd', 'pop3d'] as const

interface Counts {
  offered: number
  accepted: number
  refused: number
  later: number
  lost: number
}

if (options.help) console.log(usage)
else if (options.role === 'clock') await clock()
else if (options.role !== '') await load(options.role as Kind)
else await main()

async function main(): Promise<void> {
  console.log(
    `${availableParallelism()} processors, load ${loadavg()
      .map((one) => one.toFixed(1))
      .join(' ')}`,
  )
  const instance = await Instance.start({ services: everyService })
  try {
    const known = new MailClient({ port: instance.portOf('pop3s') })
    await popLogin(known, demoAddress, demoPassword)
    known.end()
    const latencies = new Map<Kind, number[]>()
    for (let run = 1; run <= Number(options.runs); run++) {
      for (const kind of kinds.filter((one) => options.only === '' || one === 'none' || one === options.only)) {
        const found = await measure(instance, kind, run)
        latencies.set(kind, [...(latencies.get(kind) ?? []), ...found])
        // Nothing of the one before is in the one after.
        await pause(1000)
      }
    }
    const base = latencies.get('none') ?? []
    console.log('\nall runs together, ms from the connection to the 250:')
    for (const [kind, all] of latencies) {
      const more = percentile(all, 0.99) - percentile(base, 0.99)
      console.log(
        `  ${kind.padEnd(10)} ${shown(all)}${kind === 'none' ? '' : `  p99 ${more >= 0 ? '+' : ''}${more.toFixed(1)}`}`,
      )
    }
    await idle(instance)
  } finally {
    await instance.end()
  }
}

async function measure(instance: Instance, kind: Kind, run: number): Promise<number[]> {
  const ports = [instance.portOf('submissions'), instance.portOf('pop3s')].join()
  const pids = await Promise.all(watched.map((name) => instance.pidOf(name)))
  const before = pids.map(cpuMilliseconds)
  const offering = kind === 'none' ? undefined : outputOf(start(kind, ports))
  if (offering !== undefined) await pause(1000)
  const found = JSON.parse(await outputOf(start('clock', String(instance.smtpPort)))) as number[]
  const counts = offering === undefined ? '' : ` ${await offering}`
  const used = pids.map((pid, at) => cpuMilliseconds(pid) - (before[at] ?? 0))
  console.log(
    `run ${run} ${kind.padEnd(10)} ${shown(found)}  load ${loadavg()[0]?.toFixed(1)}${counts}\n` +
      `      CPU ms: ${watched.map((name, at) => `${name} ${used[at]}`).join(', ')}`,
  )
  return found
}

function start(role: string, port: string): ChildProcess {
  const args = [
    import.meta.filename,
    '--role',
    role,
    '--port',
    port,
    '--seconds',
    options.seconds,
    '--rate',
    options.rate,
  ]
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { stdio: ['ignore', 'pipe', 2] })
}

async function outputOf(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout?.on('data', (piece: Buffer) => (text += piece.toString()))
  await once(child, 'close')
  return text.trim()
}

/** One message after the other; prints the milliseconds of each. */
async function clock(): Promise<void> {
  const until = performance.now() + 1000 * Number(options.seconds)
  const found: number[] = []
  while (performance.now() < until) {
    const began = performance.now()
    await transaction(Number(options.port))
    found.push(performance.now() - began)
    await pause(20)
  }
  console.log(JSON.stringify(found))
}

async function transaction(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  let said = ''
  const lines = [
    'EHLO bench.test\r\n',
    'MAIL FROM:<bench@example.org>\r\n',
    `RCPT TO:<${demoAddress}>\r\n`,
    'DATA\r\n',
    'Subject: bench\r\n\r\nhello\r\n.\r\n',
  ]
  for await (const piece of socket) {
    said += (piece as Buffer).toString('latin1')
    if (!/^\d{3} .*\r\n$/m.test(said) || !said.endsWith('\r\n')) continue
    if (!/^[23]/.test(said)) throw new Error(said)
    said = ''
    const next = lines.shift()
    if (next === undefined) break
    socket.write(next)
  }
  socket.destroy()
}

/** Logins at the rate, until a second after the clock has ended; prints what became of them. */
async function load(kind: Kind): Promise<void> {
  setPriority(10)
  const ports = options.port.split(',').map(Number)
  const counts: Counts = { offered: 0, accepted: 0, refused: 0, later: 0, lost: 0 }
  const began = performance.now()
  const milliseconds = 1000 * (Number(options.seconds) + 1)
  while (performance.now() - began < milliseconds) {
    const due = Math.floor(((performance.now() - began) / 1000) * Number(options.rate))
    for (; counts.offered < due; counts.offered++) void login(kind, counts.offered, ports, counts)
    await pause(5)
  }
  console.log(JSON.stringify(counts))
  process.exit(0)
}

async function login(kind: Kind, n: number, ports: readonly number[], counts: Counts): Promise<void> {
  const isPop = n % 2 === 1
  const right = kind === 'right' || (kind === 'mixed' && n % 4 < 2)
  const localAddress = `127.${1 + (n % 200)}.${(n >> 8) & 255}.${1 + (n % 250)}`
  const client = new MailClient({ port: ports[isPop ? 1 : 0] ?? 0, localAddress })
  try {
    if (kind === 'handshakes') await client.until(/^.*\r\n/)
    else {
      const password = right ? demoPassword : `wrong ${n}`
      const name = right ? demoAddress : `user${n % 1000}@quaver.test`
      const answer = await (isPop ? popLogin : smtpLogin)(client, name, password)
      if (/^(?:235|\+OK)/.test(answer)) counts.accepted++
      else if (/^(?:535|-ERR \[AUTH)/.test(answer)) counts.refused++
      else if (answer === '') counts.lost++
      else counts.later++
    }
  } catch {
    counts.lost++
  } finally {
    client.end()
  }
}

/** What a connection costs that has shaken hands and says nothing. */
async function idle(instance: Instance): Promise<void> {
  const pid = await instance.pidOf('pop3d')
  const before = residentBytes(pid)
  const clients: MailClient[] = []
  for (let n = 0; n < Number(options.idle); n++) {
    const client = new MailClient({ port: instance.portOf('pop3s') })
    clients.push(client)
    if (n % 50 === 49) await client.until(/^\+OK.*\r\n/)
  }
  await Promise.all(clients.map((client) => client.until(/^\+OK.*\r\n|^$/, 60_000).catch(() => '')))
  const growth = residentBytes(pid) - before
  console.log(`${options.idle} connections before login: pop3d grew by ${(growth / 1e6).toFixed(0)} MB`)
  for (const client of clients) client.end()
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0
}

function shown(values: readonly number[]): string {
  const at = (part: number): string => percentile(values, part).toFixed(1).padStart(6)
  return `n ${String(values.length).padStart(4)}  p50 ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}`
}
