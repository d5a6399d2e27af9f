/** qmail-qmqpc(8): qmail-queue's interface, for a host without a queue: the message goes by QMQP to the first host of
 *  control/qmqpservers that can be reached.
 *  Fails:  with qmail-queue's exit codes; once a host is connected no other is asked, since it may have the message. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { netstring } from '../../protocols/netstring/package-reader.ts'
import { parseList } from '../../protocols/qmail/control-format.ts'
import { errorCode, readSmallFile } from '../../system/files.ts'
import { gather, readDescriptor } from '../../system/input-spool.ts'
import type { StoredBytes } from '../../system/spool.ts'
import type { Call } from './call.ts'
import { readEnvelope } from './queue.ts'

const code = {
  queued: 0,
  refused: 31,
  readError: 54,
  noControls: 55,
  noNetwork: 56,
  noHome: 61,
  later: 71,
  connectTimeout: 72,
  connectRefused: 73,
  lost: 74,
  /** Also for a truncated one, unlike qmail-queue. */
  badEnvelope: 91,
} as const
const port = 628
const connectMillisecondsMax = 10_000
const ioMillisecondsMax = 60_000
const controlBytesMax: number = 1024 * 1024
const answerBytesMax = 5000

export async function qmqpc(call: Call): Promise<number> {
  const servers = serversOf(call)
  if (typeof servers === 'number') return servers
  let content: Awaited<ReturnType<typeof gather>>
  try {
    content = await gather(readDescriptor(0))
  } catch {
    return code.readError
  }
  try {
    const envelope = await readEnvelope()
    if (typeof envelope !== 'number') return await deliver(servers, envelope, content)
    return envelope === code.readError ? code.badEnvelope : envelope
  } finally {
    content.close()
  }
}

function serversOf(call: Call): string[] | number {
  let directory: string
  try {
    directory = call.home().control
  } catch {
    return code.noHome
  }
  try {
    const text = readSmallFile(`${directory}/qmqpservers`, controlBytesMax)
    return text === undefined ? code.noControls : parseList(fromBuffer(text))
  } catch {
    return code.noControls
  }
}

/** `at`: another port than QMQP's, for a test. */
export async function deliver(
  servers: readonly string[],
  envelope: Envelope,
  content: StoredBytes,
  at: number = port,
): Promise<number> {
  let last: number = code.noControls
  for (const server of servers) {
    const reached = await reach(server, at)
    if (typeof reached !== 'number') return await talk(reached, envelope, content)
    last = reached
  }
  return last
}

async function reach(host: string, at: number): Promise<Socket | number> {
  const socket = connect({ host, port: at })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMillisecondsMax) })
    return socket
  } catch (error) {
    socket.destroy()
    if (error instanceof Error && error.name === 'AbortError') return code.connectTimeout
    const name = errorCode(error)
    if (name === 'ETIMEDOUT') return code.connectTimeout
    return ['EMFILE', 'ENFILE', 'ENETDOWN'].includes(name) ? code.noNetwork : code.connectRefused
  }
}

async function talk(socket: Socket, { sender, recipients }: Envelope, content: StoredBytes): Promise<number> {
  const addresses = [sender, ...recipients].map(netstring).join('')
  const messageLength = `${content.bytes}:`
  const wholeBytes = messageLength.length + content.bytes + 1 + addresses.length
  socket.setTimeout(ioMillisecondsMax, () => socket.destroy(new Error('silent')))
  const answered = readAnswer(socket)
  try {
    await send(socket, toBuffer(`${wholeBytes}:${messageLength}`))
    for (const chunk of content.chunks()) await send(socket, chunk)
    await send(socket, toBuffer(`,${addresses},`))
    return codeOf(await answered)
  } catch {
    answered.catch(() => undefined)
    return code.lost
  } finally {
    socket.destroy()
  }
}

function send(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

/** Reads until the netstring of the answer is complete. Rejects if the connection ends before. */
async function readAnswer(socket: Socket): Promise<ByteString> {
  let heard = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    heard += fromBuffer(chunk)
    const [, digits] = /^([0-9]{1,4}):/.exec(heard) ?? []
    if (heard.length > answerBytesMax || (digits === undefined && heard.length > 5)) break
    if (digits === undefined) continue
    const [from, to] = [digits.length + 1, digits.length + 1 + Number(digits)]
    if (heard.length <= to) continue
    if (heard[to] === ',') return heard.slice(from, to)
    break
  }
  throw new Error('no answer')
}

function codeOf(answer: ByteString): number {
  if (answer.startsWith('K')) return code.queued
  if (answer.startsWith('Z')) return code.later
  return answer.startsWith('D') ? code.refused : code.lost
}
