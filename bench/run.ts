/** `npm run bench`: ours and Postfix in turn under the same load on the same disk; prints a table of medians and ratios.
 *  What is compared: messages a second from the first connection until the last message is in Maildir/new or counted by
 *  smtp-sink, and CPU milliseconds a message of all processes of a server. One message a connection, one recipient. */
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openDisk } from './disk.ts'
import { type Cell, type Measured, measure, type Server, SinkProcess } from './load.ts'
import { startPostfix } from './postfix.ts'
import { startQuaver } from './quaver.ts'
import { proportionalBytes } from '../test/kit/processes.ts'
import { table } from './table.ts'
import { findPostfix, type PostfixTree } from './tools.ts'

const cells: readonly Cell[] = [
  { name: 'to a Maildir, 50 connections', to: 'maildir', connections: 50, bytes: 4096 },
  { name: 'to a Maildir, 10 connections', to: 'maildir', connections: 10, bytes: 4096 },
  { name: 'relay, 50 connections', to: 'relay', connections: 50, bytes: 4096 },
  { name: 'relay, 10 connections', to: 'relay', connections: 10, bytes: 4096 },
]
const warmUpMessages = 200

const { values: options } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    rows: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
})

const usage = `npm run bench -- [--messages N] [--runs N] [--only quaver|postfix] [--rows WORD]
  --messages  a cell and run (1000); for steady numbers on a quiet machine take 5000
  --runs      median of so many (3)
  --only      measure one server alone
  --rows      only the rows whose name has the word, such as relay or 50`

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
  const servers: Server[] = []
  const sinks: SinkProcess[] = []
  const cleanUp = async (): Promise<void> => {
    for (const server of servers.splice(0)) await server.stop()
    for (const sink of sinks.splice(0)) await sink.stop()
    disk.release()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void cleanUp().then(() => process.exit(1)))
  try {
    console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Linux ${release()}, Node ${process.version}`)
    console.log(`disk: ${disk.description}`)
    const sink = await SinkProcess.start(tree)
    sinks.push(sink)
    await startServers(servers, tree, disk.path, sink.port)
    if (!servers.every(({ cpu }) => cpu.isExact))
      console.log('CPU time: from /proc, not exact (a control group needs root)')
    await warmUp(servers, sink, tree)
    const results = await runAll(servers, sink, tree)
    console.log(`\n${table(results)}\n`)
    for (const { name, rootPid } of servers)
      console.log(`${name}: ${(proportionalBytes(rootPid) / 1e6).toFixed(0)} MB proportional memory after the load`)
    return 0
  } finally {
    await cleanUp()
  }
}

async function startServers(servers: Server[], tree: PostfixTree, path: string, sinkPort: number): Promise<void> {
  if (options.only !== 'postfix') servers.push(await startQuaver(join(path, 'quaver'), sinkPort))
  if (options.only === 'quaver') return
  if (process.getuid?.() === 0) servers.push(await startPostfix(tree, join(path, 'postfix'), sinkPort))
  else console.log('Postfix is left out: it needs root')
}

async function warmUp(servers: readonly Server[], sink: SinkProcess, tree: PostfixTree): Promise<void> {
  for (const server of servers)
    for (const cell of chosenCells()) await measure(server, cell, warmUpMessages, sink, tree)
}

/** Every cell, `runs` times, and each time the servers in another order. */
async function runAll(
  servers: readonly Server[],
  sink: SinkProcess,
  tree: PostfixTree,
): Promise<Map<Cell, Map<Server, Measured[]>>> {
  const results = new Map<Cell, Map<Server, Measured[]>>()
  for (const cell of chosenCells()) {
    const row = new Map<Server, Measured[]>(servers.map((server) => [server, []]))
    results.set(cell, row)
    for (let run = 0; run < Number(options.runs); run++) {
      for (const server of run % 2 === 0 ? servers : servers.toReversed()) {
        const measured = await measure(server, cell, Number(options.messages), sink, tree)
        row.get(server)?.push(measured)
        console.log(
          `${cell.name}, run ${run + 1}, ${server.name}: ${measured.acceptedPerSecond.toFixed(0)} accepted/s, ` +
            `${measured.endToEndPerSecond.toFixed(0)} end to end/s, ${measured.cpuMillisecondsPerMessage.toFixed(2)} CPU ms`,
        )
      }
    }
  }
  return results
}

function chosenCells(): Cell[] {
  return cells.filter(({ name }) => name.includes(options.rows))
}
