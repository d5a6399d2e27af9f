/** `npm run bench:checks`: what the default checks of the edge cost. Two Quavers in one run, in turn, under the same load: one
 *  asks DNS lists, SPF, badmailfrom and lspawn about every message of strangers, answered from a name server beside it; the
 *  other asks nothing. With --signed both ask everything, and one gets messages with a DKIM signature (RSA, 2048 bits), the
 *  other the same ones without. Accepted messages a second, and the ratio. The greeting delay is off in both.
 *  Needs root: the strangers live in a network of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SystemDns } from '../src/clients/dns/resolver.ts'
import { realClock } from '../src/system/clock.ts'
import { type Signer, signerOf } from '../test/kit/dkim-message.ts'
import { demoAddress, Instance, until } from '../test/kit/instance.ts'
import { commandLine, cpuMilliseconds, treeOf } from '../test/kit/processes.ts'
import { openDisk } from './disk.ts'
import { insideOwnNetwork, stranger } from './network.ts'
import { findPostfix, type PostfixTree } from './tools.ts'

/** `once`: every message from an address and a domain of its own. Otherwise so many addresses, each with its domain. */
const cells = [
  { name: '10 strangers, 5 connections each', strangers: 10, connections: 5 },
  { name: '50 strangers, 1 connection each', strangers: 50, connections: 1 },
  { name: 'each message from another stranger, 50 connections', strangers: 'once', connections: 50 },
] as const
type Cell = (typeof cells)[number]

const bytes = 4096
const domainsMax = 100_000
const cellMillisecondsMax = 120_000
const badSenders = Array.from({ length: 1000 }, (_, n) => `@bad${n}.test`).join('\n')
/** Ours without control/tcprules, but for the greeting delay. */
const rules = '127.:allow,RELAYCLIENT=""\n:allow\n'

const { values: options } = parseArgs({
  options: {
    messages: { type: 'string', default: '2000' },
    runs: { type: 'string', default: '5' },
    rows: { type: 'string', default: '' },
    programs: { type: 'boolean', default: false },
    signed: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const usage = `npm run bench:checks -- [--messages N] [--runs N] [--rows WORD] [--programs]
  --messages  a cell and run (2000)
  --runs      median of so many (5)
  --rows      only the rows whose name has the word, such as 10 or each
  --programs  CPU milliseconds a message of each program, and of the name server
  --signed    signed messages beside unsigned ones`

interface Side {
  readonly name: 'no checks' | 'all checks' | 'unsigned' | 'signed'
  readonly instance: Instance
  /** What each message says; empty: as many letters as `bytes`. */
  readonly messageFile: string
  maildirs: number
}

interface Measured {
  readonly acceptedPerSecond: number
  readonly cpuMillisecondsPerMessage: number
}

/** The next stranger that has not come yet: nobody is counted as too fast. */
let nextStranger = 0

if (options.help) console.log(usage)
else process.exitCode = (await insideOwnNetwork()) ?? (await main())

async function main(): Promise<number> {
  const tree = findPostfix()
  if (tree === undefined) {
    console.error('bench: no smtp-source. Install Postfix, or name a tree made by dpkg -x in QUAVER_POSTFIX.')
    return 1
  }
  const disk = openDisk()
  const signer = await signerOf('bank.test', 'rsa')
  const names = spawn(
    process.execPath,
    [...process.execArgv, join(import.meta.dirname, 'name-server.ts'), String(domainsMax), signer.name, signer.record],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const sides: Side[] = []
  try {
    const server = String(((await once(names.stdout, 'data')) as [Buffer])[0]).trim()
    console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}; disk: ${disk.description}`)
    console.log(`the name server alone: ${await answersPerSecond(server)} answers/s to one asker`)
    const [none, all] = [
      { 'control/dnsbls': '', 'control/smtpplugins': '' },
      { 'control/badmailfrom': `${badSenders}\n` },
    ]
    const [unsigned, signed] = options.signed ? messageFiles(disk.path, signer) : ['', '']
    const [base, full] = options.signed ? (['unsigned', 'signed'] as const) : (['no checks', 'all checks'] as const)
    sides.push(await begin(base, server, join(disk.path, 'base'), options.signed ? all : none, unsigned))
    sides.push(await begin(full, server, join(disk.path, 'full'), all, signed))
    for (const cell of chosenCells()) for (const side of sides) await measure(side, cell, 500, tree, names)
    for (const cell of chosenCells()) await compare(cell, sides, tree, names)
    return 0
  } finally {
    for (const { instance } of sides) await instance.stop()
    names.kill()
    await once(names, 'exit')
    disk.release()
  }
}

async function begin(
  name: Side['name'],
  nameServer: string,
  home: string,
  files: Readonly<Record<string, string>>,
  messageFile: string,
): Promise<Side> {
  mkdirSync(home)
  const common = {
    'control/listen-smtp': '0.0.0.0:2525\n',
    'control/tcprules/smtp': rules,
    'control/dnsservers': `${nameServer}\n`,
  }
  return { name, instance: await Instance.start({ home, files: { ...common, ...files } }), messageFile, maildirs: 0 }
}

async function compare(cell: Cell, sides: readonly Side[], tree: PostfixTree, names: ChildProcess): Promise<void> {
  const results = new Map<Side['name'], Measured[]>(sides.map(({ name }) => [name, []]))
  for (let run = 0; run < Number(options.runs); run++) {
    for (const side of run % 2 === 0 ? sides : sides.toReversed()) {
      const measured = await measure(side, cell, Number(options.messages), tree, names)
      results.get(side.name)?.push(measured)
      console.log(
        `${cell.name}, run ${run + 1}, ${side.name}: ${measured.acceptedPerSecond.toFixed(0)} accepted/s, ${measured.cpuMillisecondsPerMessage.toFixed(2)} CPU ms`,
      )
    }
  }
  const speed = (name: Side['name']): number => median((results.get(name) ?? []).map((one) => one.acceptedPerSecond))
  const cpu = (name: Side['name']): number =>
    median((results.get(name) ?? []).map((one) => one.cpuMillisecondsPerMessage))
  const [base, full] = sides.map(({ name }) => name)
  if (base === undefined || full === undefined) throw new Error('two sides are compared')
  const ratio = (100 * speed(full)) / speed(base)
  console.log(
    `== ${cell.name}: ${full} ${speed(full).toFixed(0)}, ${base} ${speed(base).toFixed(0)} accepted/s = ${ratio.toFixed(0)} %; CPU ms a message ${cpu(full).toFixed(2)} and ${cpu(base).toFixed(2)}`,
  )
}

async function measure(
  side: Side,
  cell: Cell,
  messages: number,
  tree: PostfixTree,
  names: ChildProcess,
): Promise<Measured> {
  const { instance } = side
  const directory = freshMaildir(side)
  const cpuBefore = cpuMilliseconds(instance.pid)
  const programsBefore = byProgram(instance, names)
  const began = performance.now()
  await Promise.all(loads(cell, messages, side, tree).map(ended))
  const milliseconds = performance.now() - began
  await until('every message in the Maildir', cellMillisecondsMax, () =>
    Promise.resolve(readdirSync(directory).length >= messages || undefined),
  )
  await pause(300)
  if (options.programs) tellPrograms(programsBefore, byProgram(instance, names), messages)
  return {
    acceptedPerSecond: (messages * 1000) / milliseconds,
    cpuMillisecondsPerMessage: (cpuMilliseconds(instance.pid) - cpuBefore) / messages,
  }
}

function byProgram(instance: Instance, names: ChildProcess): Map<string, number> {
  const found = new Map([['name server', cpuMilliseconds(names.pid ?? 0)]])
  for (const { pid, cpuMilliseconds: spent } of treeOf(instance.pid)) {
    const program = /programs\/(\w+)\/main\.ts/.exec(commandLine(pid).join(' '))?.[1] ?? 'others'
    found.set(program, (found.get(program) ?? 0) + spent)
  }
  return found
}

function tellPrograms(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>, messages: number): void {
  const spent = [...after].map(([name, milliseconds]) => {
    return `${name} ${((milliseconds - (before.get(name) ?? 0)) / messages).toFixed(2)}`
  })
  console.log(`  ${spent.join(', ')}`)
}

function loads(cell: Cell, messages: number, { instance, messageFile }: Side, tree: PostfixTree): ChildProcess[] {
  const port = instance.smtpPort
  const first = nextStranger
  nextStranger += cell.strangers === 'once' ? messages : cell.strangers
  if (nextStranger > domainsMax) throw new Error(`more than ${domainsMax} strangers`)
  if (cell.strangers === 'once') {
    const program = join(import.meta.dirname, 'senders.ts')
    const args = [port, messages, cell.connections, first, demoAddress, bytes].map(String)
    return [spawn(process.execPath, [...process.execArgv, program, ...args], { stdio: 'inherit' })]
  }
  const program = join(tree.root, 'usr/sbin/smtp-source')
  return Array.from({ length: cell.strangers }, (_, at) => {
    const args = [
      '-s',
      String(cell.connections),
      '-m',
      String(Math.ceil(messages / cell.strangers)),
      ...(messageFile === '' ? ['-l', String(bytes)] : ['-F', messageFile]),
    ]
    args.push('-f', `a@d${first + at}.sender.test`, '-t', demoAddress, `${stranger(first + at)}:${port}`)
    return spawn(program, args, { env: tree.env, stdio: ['ignore', 'inherit', 'inherit'] })
  })
}

async function ended(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), cellMillisecondsMax)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  if (code !== 0) throw new Error(`a sender ended with ${code}`)
}

/** Of the same message without a signature, and with one. */
function messageFiles(directory: string, signer: Signer): readonly [string, string] {
  const line = `${'x'.repeat(62)}\n`
  const header = 'From: a@bank.test\nTo: demo@quaver.test\nSubject: bench\nDate: Tue, 01 Dec 2026 12:00:00 +0000\n'
  const message = `${header}Message-ID: <bench@bank.test>\n\n${line.repeat(bytes / line.length)}`
  const [unsigned, signed] = [join(directory, 'unsigned'), join(directory, 'signed')]
  writeFileSync(unsigned, message)
  writeFileSync(signed, signer.sign(message))
  return [unsigned, signed]
}

/** The old one is moved away, not deleted: deletes would disturb the next cell. */
function freshMaildir(side: Side): string {
  const { maildir } = side.instance
  renameSync(maildir, `${maildir}.${side.maildirs++}`)
  for (const name of ['', 'tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { mode: 0o700 })
  return join(maildir, 'new')
}

/** It must not be what is measured. */
async function answersPerSecond(server: string): Promise<number> {
  const dns = new SystemDns(realClock, [server])
  const questions = 5000
  let next = 0
  const began = performance.now()
  const askers = Array.from({ length: 50 }, async () => {
    while (next < questions) await dns.a(`q${next++}.test`)
  })
  await Promise.all(askers)
  return Math.round((questions * 1000) / (performance.now() - began))
}

function chosenCells(): Cell[] {
  // What each stranger says who comes once is made by another program, without signatures.
  return cells.filter(({ name, strangers }) => name.includes(options.rows) && !(options.signed && strangers === 'once'))
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
