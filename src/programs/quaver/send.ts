/** `quaver send`: a message from standard input into the queue. */
import { userInfo } from 'node:os'
import { type ByteString, fromBuffer, fromText, toBuffer } from '../../base/byte-string.ts'
import { isAddress, recipientsMax } from '../../contracts/envelope.ts'
import { Control } from '../../stores/control/control.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { handIn } from './hand-in.ts'
import { completeHeader } from './header.ts'
import { print, printJson } from './output.ts'
import { readDescriptor, spool } from './spool.ts'

/** The header must end within this; what comes after is passed on unread. */
const headBytesMax: number = 256 * 1024

export async function send(recipients: readonly string[], options: GlobalOptions & { from?: string }): Promise<void> {
  const home = requireHome(options)
  if (recipients.length > recipientsMax)
    throw new CommandError(`${recipients.length} recipients; one message can have ${recipientsMax}`, exitCode.usage)
  const { user, host } = author(home)
  const envelope = {
    sender: checkAddress(options.from === undefined ? `${user}@${host}` : fromText(options.from), '-f'),
    recipients: recipients.map((recipient) => checkAddress(fromText(recipient), 'recipient')),
  }
  if (process.stdin.isTTY) process.stderr.write('quaver send: reads the message from here until Ctrl-D\n')
  const facts = { nowMs: realClock.now(), pid: process.pid, user, host }
  const content = await spool(completed(readDescriptor(0), (head) => completeHeader(head, facts)))
  const result = await handIn(home, envelope, content)
  await content.close()
  if (result.kind === 'failed') {
    const { class: failureClass, peerText, logText } = result.failure
    const text = peerText === logText ? peerText : `${peerText}: ${logText}`
    throw new CommandError(`not queued: ${text}`, failureClass === 5 ? exitCode.permanent : exitCode.temporary)
  }
  if (options.json === true) printJson(result.kind === 'queued' ? { id: result.id } : { dropped: result.path })
  else if (result.kind === 'queued') print(`queued as ${result.id}`)
  else print(`Quaver does not run; the message is safe in ${result.path} and goes on its way when it starts`)
}

/** Who writes: the account, at this host. */
function author(home: Home): { user: ByteString; host: ByteString } {
  const host = new Control(home.control, realClock).optionalLine('me')
  if (host === undefined) throw new CommandError(`${home.control}/me is missing: write this host's name there`)
  return { user: fromText(userInfo().username), host }
}

function checkAddress(address: ByteString, where: string): ByteString {
  if (isAddress(address) && (address !== '' || where === '-f')) return address
  throw new CommandError(
    `${where}: '${address.slice(0, 60)}' is no address (empty, too long, or with a line end)`,
    exitCode.usage,
  )
}

/** Line ends LF, the head through `complete`, a final LF supplied. */
export async function* completed(
  input: AsyncIterable<Buffer>,
  complete: (head: ByteString) => ByteString,
): AsyncGenerator<Buffer> {
  let head: ByteString | undefined = ''
  let last = 10
  for await (const chunk of withoutCarriageReturns(input)) {
    if (chunk.length === 0) continue
    last = chunk.at(-1) ?? last
    if (head === undefined) {
      yield chunk
      continue
    }
    head += fromBuffer(chunk)
    if (!head.startsWith('\n') && !head.includes('\n\n') && head.length < headBytesMax) continue
    yield toBuffer(complete(head))
    head = undefined
  }
  const ending = last === 10 ? '' : '\n'
  if (head !== undefined) yield toBuffer(complete(`${head}${ending}`))
  else if (ending !== '') yield toBuffer(ending)
}

/** If the first line ends in CRLF (a message saved by a mail program), each CRLF becomes LF; else all stays as it is. */
async function* withoutCarriageReturns(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let convert: boolean | undefined
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of input) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    if (convert === undefined) {
      const end = pending.indexOf(10)
      if (end === -1 && pending.length < headBytesMax) continue
      convert = end > 0 && pending[end - 1] === 13
    }
    // A CR at the end may belong to an LF that is still to come.
    const keep = convert && pending.at(-1) === 13 ? 1 : 0
    const ready = pending.subarray(0, pending.length - keep)
    yield convert ? toBuffer(fromBuffer(ready).replaceAll('\r\n', '\n')) : ready
    pending = pending.subarray(pending.length - keep)
  }
  if (pending.length > 0) yield pending
}
