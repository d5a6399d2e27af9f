/** A program under `start`: answers each connection with its pid; leaves a line in HOME/stops when it stops. */
import { appendFileSync, existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { TlsOrder } from '../../src/contracts/supervise.ts'
import { serveDescriptor } from '../../src/system/frame-connection.ts'
import { openLog } from '../../src/system/log.ts'
import { supervised } from '../../src/system/supervised.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, demo: { type: 'boolean' }, listen: { type: 'string' } },
})
const name = values.listen ?? ''
const home = values.home ?? ''
const orders = {
  stop: () => {
    appendFileSync(`${home}/stops`, `${name}\n`)
    return Promise.resolve()
  },
  reload: () => appendFileSync(`${home}/reloads`, `${name}\n`),
  tls: ({ pairs }: TlsOrder) => appendFileSync(`${home}/certificates`, pairs[0]?.certificatePem ?? ''),
}
const program = supervised(openLog(name), orders, name.split(','))
if (existsSync(`${home}/refuse-${name}`)) {
  try {
    program.fail('it was told to refuse')
  } finally {
    // As on a busy machine.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
}
for (const fd of program.listeners.values())
  serveDescriptor(fd, (socket) => {
    socket.on('error', () => undefined)
    socket.end(`${process.pid}\n`)
  })
appendFileSync(`${home}/starts`, `${name}\n`)
program.ready()
