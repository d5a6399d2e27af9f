/** `quaver send`: a message from standard input into the queue. */
import { userInfo } from 'node:os'
import { type ByteString, fromBuffer, fromText, toBuffer } from '../../base/byte-string.ts'
import { isAddress, recipientsMax } from '../../contracts/envelope.ts'
import { completeHeader, makeMessageId } from '../../protocols/ofmip/complete-header.ts'
import { printAddress } from '../../protocols/rfc822/print-address.ts'
import { type Field, HeaderGatherer } from '../../protocols/rfc822/header.ts'
import { headerBytesMax } from '../../protocols/smtp/data-decoder.ts'
import { Control } from '../../stores/control/control.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { handIn } from './hand-in.ts'
import { print, printJson } from './output.ts'
import { readDescriptor, spool } from './spool.ts'

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
  const now = realClock.now()
  const messageId = makeMessageId(now, [process.pid], host)
  const missing = { milliseconds: now, messageId, author: printAddress(`${user}@${host}`) }
  const content = await spool(completed(readDescriptor(0), (fields) => completeHeader(fields, missing)))
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

/** Line ends LF, the header through `complete`, a final LF supplied. A header that is too long is an error: what was not
 *  read of it could name blind recipients. */
export async function* completed(
  input: AsyncIterable<Buffer>,
  complete: (fields: readonly Field[]) => ByteString,
): AsyncGenerator<Buffer> {
  const gatherer = new HeaderGatherer()
  let hasBegun = false
  let gathered = 0
  let last = 10
  for await (const chunk of withoutCarriageReturns(input)) {
    last = chunk.at(-1) ?? last
    if (gatherer.isOver) {
      yield chunk
      continue
    }
    const body = gatherer.push(fromBuffer(chunk))
    gathered += chunk.length
    if (body !== undefined) {
      yield toBuffer(hasBegun ? body : complete(gatherer.fields) + body)
      hasBegun = true
    } else if (gathered > headerBytesMax)
      throw new CommandError(`the header of the message has more than ${headerBytesMax} bytes`, exitCode.permanent)
  }
  const rest = (last === 10 || !hasBegun ? '' : (gatherer.push('\n') ?? '')) + gatherer.end()
  if (!hasBegun || rest !== '') yield toBuffer(hasBegun ? rest : complete(gatherer.fields) + rest)
}

/** If the first line ends in CRLF (a message saved by a mail program), each CRLF becomes LF; else all stays as it is. */
async function* withoutCarriageReturns(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let convert: boolean | undefined
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of input) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    if (convert === undefined) {
      const end = pending.indexOf(10)
      if (end === -1 && pending.length < headerBytesMax) continue
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
