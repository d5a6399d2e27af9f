/** `quaver send`: a message from standard input into the queue. */
import { userInfo } from 'node:os'
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { type Ways, handIn } from '../../clients/queue/hand-in.ts'
import { isAddress, recipientsMax } from '../../contracts/envelope.ts'
import { claimsToBeOurs } from '../../protocols/auth-results/own-fields.ts'
import { completeHeader, makeMessageId } from '../../protocols/submission/complete-header.ts'
import { completed, HeaderTooLong } from '../../protocols/submission/complete-message.ts'
import { printAddress } from '../../protocols/rfc822/print-address.ts'
import { Control } from '../../stores/control/control.ts'
import { ownResults } from '../../stores/control/own-results.ts'
import { leaveInDrop } from '../../stores/drop/leave.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson } from './output.ts'
import { gather, readDescriptor } from '../../system/input-spool.ts'
import type { Gathered } from '../../system/spool.ts'

export async function send(
  recipients: readonly string[],
  options: GlobalOptions & { from?: string; probe?: true },
): Promise<void> {
  const home = requireHome(options)
  if (recipients.length > recipientsMax)
    throw new CommandError(`${recipients.length} recipients; one message can have ${recipientsMax}`, exitCode.usage)
  const { user, host } = author(home)
  const envelope = {
    sender: checkAddress(options.from === undefined ? `${user}@${host}` : fromText(options.from), '-f'),
    recipients: recipients.map((recipient) => checkAddress(fromText(recipient), 'recipient')),
  }
  if (options.probe === true) {
    const { onlyRecipient, probe } = await import('./send-probe.ts')
    return await probe(home, envelope.sender, onlyRecipient(recipients), options.json === true)
  }
  if (process.stdin.isTTY) process.stderr.write('quaver send: reads the message from here until Ctrl-D\n')
  const now = realClock.now()
  const messageId = makeMessageId(now, [process.pid], host)
  const missing = { milliseconds: now, messageId, author: printAddress(`${user}@${host}`) }
  const isOurs = ownResults(new Control(home.control, realClock))
  const content = await read((fields) =>
    completeHeader(
      fields.filter((field) => !claimsToBeOurs(field, isOurs)),
      missing,
    ),
  )
  const leave = (...left: Parameters<Ways['leave']>): ReturnType<Ways['leave']> => leaveInDrop(home, ...left)
  const result = await handIn({ socketPath: socketPath(home, 'queue-inject'), leave }, envelope, content)
  content.close()
  if (result.kind === 'failed') {
    const { class: failureClass, peerText, logText } = result.failure
    const text = peerText === logText ? peerText : `${peerText}: ${logText}`
    throw new CommandError(`not queued: ${text}`, failureClass === 5 ? exitCode.permanent : exitCode.temporary)
  }
  if (options.json === true) printJson(result.kind === 'queued' ? { id: result.id } : { dropped: result.path })
  else if (result.kind === 'queued') print(`queued as ${result.id}`)
  else print(`Quaver does not run; the message is safe in ${result.path} and goes on its way when it starts`)
}

async function read(complete: Parameters<typeof completed>[1]): Promise<Gathered> {
  try {
    return await gather(completed(readDescriptor(0), complete))
  } catch (error) {
    if (!(error instanceof HeaderTooLong)) throw error
    throw new CommandError(error.message, exitCode.permanent)
  }
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
