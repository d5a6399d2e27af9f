/** The shortest SMTP client that shows a message's way in (RFC 5321): loopback, one message, no extensions. */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { parseAddress } from '../../system/bind.ts'
import { CommandError, exitCode } from './exit.ts'

const replyMillisecondsMax = 20_000

export interface SmtpStep {
  readonly kind: 'greeted' | 'recipient' | 'committed'
  readonly reply: string
  readonly atMs: number
}

/** Resolves with the number that the reply to the end of data names as `qp`. `letter` has CRLF line ends. */
export async function submitBySmtp(
  address: string,
  recipient: string,
  letter: string,
  onStep: (step: SmtpStep) => void,
): Promise<number> {
  const target = parseAddress(address)
  if (target === undefined) throw new CommandError(`'${address}' is no address and port`)
  const socket = connect(target)
  socket.setTimeout(replyMillisecondsMax, () =>
    socket.destroy(new Error(`no reply in ${replyMillisecondsMax / 1000} s`)),
  )
  const replies = readReplies(socket)
  const say = async (line: string, wanted: string, kind?: SmtpStep['kind']): Promise<string> => {
    if (line !== '') socket.write(`${line}\r\n`)
    const { value: reply } = await replies.next()
    if (reply === undefined) throw new CommandError(`${address} closed the connection`, exitCode.temporary)
    if (!reply.startsWith(wanted)) throw new CommandError(`${address} answered: ${reply}`)
    if (kind !== undefined) onStep({ kind, reply, atMs: Date.now() })
    return reply
  }
  try {
    await say('', '220', 'greeted')
    await say('EHLO localhost', '250')
    await say(`MAIL FROM:<${recipient}>`, '250')
    await say(`RCPT TO:<${recipient}>`, '250', 'recipient')
    await say('DATA', '354')
    const accepted = await say(`${letter}.`, '250', 'committed')
    await say('QUIT', '221')
    const qp = /\bqp (\d+)/.exec(accepted)?.[1]
    if (qp === undefined) throw new CommandError(`the reply names no qp: ${accepted}`)
    return Number(qp)
  } finally {
    socket.destroy()
  }
}

/** The last line of each reply. */
async function* readReplies(socket: Socket): AsyncGenerator<string, undefined> {
  const failed = new Promise<never>((_, reject) => socket.once('error', reject))
  failed.catch(() => undefined)
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]()
  for (;;) {
    let line: IteratorResult<string>
    try {
      line = await Promise.race([lines.next(), failed])
    } catch (error) {
      throw new CommandError(`SMTP: ${error instanceof Error ? error.message : String(error)}`, exitCode.temporary)
    }
    if (line.done === true) return undefined
    if (line.value[3] !== '-') yield line.value
  }
}
