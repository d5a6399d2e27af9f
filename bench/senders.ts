/** Strangers that each come once: `node bench/senders.ts PORT COUNT CONNECTIONS FIRST RECIPIENT BYTES`. Every message comes
 *  from an address and a sender's domain of its own, on a connection of its own, in smtp-source's way: a command, its
 *  reply, the next command. Fails at the first reply that is no success. */
import { connect } from 'node:net'
import { stranger } from './network.ts'

const [port, count, connections, first, bytes] = [2, 3, 4, 5, 7].map((at) => Number(process.argv[at]))
const recipient = process.argv[6] ?? ''
if (
  port === undefined ||
  count === undefined ||
  connections === undefined ||
  first === undefined ||
  bytes === undefined
)
  throw new Error('PORT COUNT CONNECTIONS FIRST RECIPIENT BYTES')
const line = `${'x'.repeat(62)}\r\n`
const content = `Subject: bench\r\n\r\n${line.repeat(Math.ceil(bytes / line.length))}.\r\n`

let next = 0
const workers = Array.from({ length: connections }, async () => {
  while (next < count) await send(first + next++)
})
await Promise.all(workers)

function send(n: number): Promise<void> {
  const commands = [
    `HELO h${n}.test\r\n`,
    `MAIL FROM:<a@d${n}.sender.test>\r\n`,
    `RCPT TO:<${recipient}>\r\n`,
    'DATA\r\n',
    content,
    'QUIT\r\n',
  ]
  const address = stranger(n)
  const socket = connect({ port: port ?? 0, host: address, localAddress: address })
  let at = 0
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => (at === commands.length ? resolve() : reject(new Error(`closed after ${at} commands`))))
    socket.on('data', (chunk) => {
      const reply = chunk.toString('latin1')
      if (!/^[23]/.test(reply)) reject(new Error(`${n}: ${reply}`))
      if (at < commands.length) socket.write(commands[at++] ?? '', 'latin1')
    })
  })
}
