/** `npm run bench:idle`: memory of the whole system with idle connections of strangers (10,000, the goal is 400 MB), and
 *  whether a message still comes through among them. Each has said EHLO and waits. `--sources` runs the `.ts` files as they are; otherwise they run
 *  without their types, as a release would. Exit code 1 above the goal.
 *  Needs root: the strangers live in a network of their own. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { demoAddress, everyService, Instance, root } from '../test/kit/instance.ts'
import { commandLine, proportionalBytes, treeOf } from '../test/kit/processes.ts'
import { SmtpClient } from '../test/kit/smtp-client.ts'
import { insideOwnNetwork, stranger } from './network.ts'
import { makePlainTree } from './plain-tree.ts'

const goalMegabytes = 400
const perStranger = 40
const openAtOnce = 200
const settleMilliseconds = 5_000
const replyMillisecondsMax = 30_000

const { values: options } = parseArgs({
  options: { connections: { type: 'string', default: '10000' }, sources: { type: 'boolean', default: false } },
})
process.exitCode = (await insideOwnNetwork()) ?? (await main(Number(options.connections)))

async function main(count: number): Promise<number> {
  const tree = options.sources ? undefined : makePlainTree(root)
  const instance = await Instance.start({
    ...(tree === undefined ? {} : { launcher: tree.launcher }),
    services: everyService,
    files: {
      'control/listen-smtp': '0.0.0.0:2525\n',
      'control/concurrencyincoming': `${count}\n`,
      'control/timeoutsmtpd': '1200\n',
      'control/dnsbls': '',
      'control/tcprules/smtp': '127.:allow,RELAYCLIENT=""\n:allow\n',
    },
  })
  const sockets: Socket[] = []
  try {
    console.log(`without: ${megabytes(proportionalBytes(instance.pid))} MB`)
    const began = performance.now()
    for (let opened = 0; opened < count; opened += openAtOnce) {
      const some = Array.from({ length: Math.min(openAtOnce, count - opened) }, (_, at) =>
        idle(instance.smtpPort, stranger(Math.floor((opened + at) / perStranger))),
      )
      sockets.push(...(await Promise.all(some)))
    }
    console.log(`${count} connections in ${((performance.now() - began) / 1000).toFixed(1)} s`)
    await pause(settleMilliseconds)
    for (const { pid } of treeOf(instance.pid)) console.log(`  ${nameOf(pid)}: ${megabytes(proportionalOf(pid))} MB`)
    const whole = proportionalBytes(instance.pid)
    const closed = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length
    console.log(`with ${count - closed} idle connections: ${megabytes(whole)} MB (goal: ${goalMegabytes})`)
    await sendOne(instance)
    return closed === 0 && whole < goalMegabytes * 1e6 ? 0 : 1
  } finally {
    for (const socket of sockets) socket.destroy()
    await instance.end()
    tree?.release()
  }
}

/** Resolves when EHLO is answered. */
function idle(port: number, from: string): Promise<Socket> {
  const socket = connect({ port, host: from, localAddress: from })
  let received = ''
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${from}: no reply, only '${received}'`)), replyMillisecondsMax)
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      const greeted = received !== ''
      received += chunk.toString('latin1')
      if (!received.startsWith('2')) reject(new Error(received))
      if (!greeted) socket.write('EHLO idle.test\r\n')
      if (!/^250 /m.test(received)) return
      clearTimeout(timer)
      resolve(socket)
    })
  })
}

async function sendOne(instance: Instance): Promise<void> {
  const began = performance.now()
  const client = await SmtpClient.greeted(instance.smtpPort)
  await client.send({ from: 'a@b.test', to: [demoAddress], content: 'Subject: among the idle\r\n\r\nx\r\n' })
  await client.quit()
  await instance.message((content) => content.includes('among the idle'), 'the message')
  console.log(`a message among them: in the Maildir after ${(performance.now() - began).toFixed(0)} ms`)
}

function proportionalOf(pid: number): number {
  const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(join('/proc', String(pid), 'smaps_rollup'), 'latin1'))
  return Number(found?.[1] ?? 0) * 1024
}

function nameOf(pid: number): string {
  return /programs\/(\w+)\/main\.[jt]s/.exec(commandLine(pid).join(' '))?.[1] ?? 'other'
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
