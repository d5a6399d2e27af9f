/** `npm run bench`: ours and Postfix in turn under the same load on the same disk; prints a table of medians and ratios.
 *  What is compared: messages a second from the first connection until the last message is in Maildir/new or counted by
 *  smtp-sink, and CPU milliseconds a message of all processes of a server. One recipient a message. Ours runs as a package
 *  installs it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildTree } from '../test/built-tree.ts'
import { proportionalBytes } from '../test/kit/processes.ts'
import { cells, coldCell, coldMessages, quickCells } from './cells.ts'
import { openDisk } from './disk.ts'
import { type Cell, type Measured, measure, type Server, SinkProcess } from './load.ts'
import { picture } from './picture.ts'
import { startPostfix } from './postfix.ts'
import { summaries, table } from './table.ts'
import { findPostfix, type PostfixTree } from './tools.ts'

const warmUpMessages = 200
const quickMessages = 600

const { values: options } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    rows: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    sources: { type: 'boolean', default: false },
    keep: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const usage = `npm run bench -- [--quick] [--messages N] [--runs N] [--only quaver|postfix] [--rows WORD] [--sources] [--keep NAME]
  --quick     few rows and few messages: under five minutes
  --messages  a row and run (1000); for steady numbers on a quiet machine take 5000
  --runs      median of so many (3)
  --only      measure one server alone
  --rows      only the rows whose name has the word, such as relay, kept or 64
  --sources   ours from its sources, not from bundles
  --keep      also write bench/results/NAME.json and NAME.svg`

if (options.help) console.log(usage)
else process.exitCode = await main()

async function main(): Promise<number> {
  const tree = findPostfix()
  if (tree === undefined) {
    console.error(
      'bench: no smtp-source. Install Postfix, or unpack its package with dpkg -x and name the tree in QUAVER_POSTFIX.',
    )
    return 1
  }
  const disk = openDisk()
  const bundles = mkdtempSync(join(tmpdir(), 'quaver-bench-'))
  const servers: Server[] = []
  const sinks: SinkProcess[] = []
  const cleanUp = async (): Promise<void> => {
    for (const server of servers.splice(0)) await server.stop()
    for (const sink of sinks.splice(0)) await sink.stop()
    disk.release()
    rmSync(bundles, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void cleanUp().then(() => process.exit(1)))
  try {
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Linux ${release()}, Node ${process.version}`
    console.log(`${machine}\ndisk: ${disk.description}`)
    if (!options.sources) process.env['QUAVER_TEST_TREE'] = await buildTree(join(import.meta.dirname, '..'), bundles)
    const sink = await SinkProcess.start(tree)
    sinks.push(sink)
    await startServers(servers, tree, disk.path, sink.port)
    if (!servers.every(({ cpu }) => cpu.isExact))
      console.log('CPU time: from /proc, not exact (a control group needs root)')
    const results = new Map<Cell, Map<Server, Measured[]>>()
    if (coldCell.name.includes(options.rows)) await runCell(results, coldCell, coldMessages, 1, servers, sink, tree)
    await warmUp(servers, sink, tree)
    for (const cell of chosenCells())
      await runCell(results, cell, messagesOf(cell), options.quick ? 1 : Number(options.runs), servers, sink, tree)
    console.log(`\n${table(results)}\n`)
    for (const { name, rootPid } of servers)
      console.log(`${name}: ${(proportionalBytes(rootPid) / 1e6).toFixed(0)} MB proportional memory after the load`)
    if (options.keep !== undefined) keep(options.keep, summaries(results), machine)
    return 0
  } finally {
    await cleanUp()
  }
}

async function startServers(servers: Server[], tree: PostfixTree, path: string, sinkPort: number): Promise<void> {
  // The kit looks at the environment when it is loaded.
  const { startQuaver } = await import('./quaver.ts')
  if (options.only !== 'postfix') servers.push(await startQuaver(join(path, 'quaver'), sinkPort))
  if (options.only === 'quaver') return
  if (process.getuid?.() === 0) servers.push(await startPostfix(tree, join(path, 'postfix'), sinkPort))
  else console.log('Postfix is left out: it needs root')
}

async function warmUp(servers: readonly Server[], sink: SinkProcess, tree: PostfixTree): Promise<void> {
  for (const server of servers)
    for (const cell of chosenCells()) await measure(server, cell, warmUpMessages * cell.share, sink, tree)
}

/** Each time with the servers in another order. */
async function runCell(
  results: Map<Cell, Map<Server, Measured[]>>,
  cell: Cell,
  messages: number,
  runs: number,
  servers: readonly Server[],
  sink: SinkProcess,
  tree: PostfixTree,
): Promise<void> {
  const row = new Map<Server, Measured[]>(servers.map((server) => [server, []]))
  results.set(cell, row)
  for (let run = 0; run < runs; run++) {
    for (const server of run % 2 === 0 ? servers : servers.toReversed()) {
      const measured = await measure(server, cell, messages, sink, tree)
      row.get(server)?.push(measured)
      console.log(
        `${cell.name}, run ${run + 1}, ${server.name}: ${measured.acceptedPerSecond.toFixed(0)} accepted/s, ` +
          `${measured.endToEndPerSecond.toFixed(0)} end to end/s, ${measured.cpuMillisecondsPerMessage.toFixed(2)} CPU ms`,
      )
    }
  }
}

function chosenCells(): readonly Cell[] {
  return (options.quick ? quickCells : cells).filter(({ name }) => name.includes(options.rows))
}

function messagesOf(cell: Cell): number {
  const messages = options.quick ? quickMessages : Number(options.messages)
  // Each connection has some, and each warm-up at least one.
  return Math.max(cell.connections, Math.ceil(messages * cell.share))
}

function keep(name: string, rows: ReturnType<typeof summaries>, machine: string): void {
  const directory = join(import.meta.dirname, 'results')
  mkdirSync(directory, { recursive: true })
  const date = new Date().toISOString().slice(0, 10)
  writeFileSync(join(directory, `${name}.json`), `${JSON.stringify({ date, machine, rows }, null, 2)}\n`)
  writeFileSync(join(directory, `${name}.svg`), picture(rows, `${machine}, ${date}`))
  console.log(`kept as bench/results/${name}.json and .svg`)
}
