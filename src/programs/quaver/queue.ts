/** `quaver queue …`: asks the queue, and puts its rows into words. */
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, inOneLine, print, printJson, styled, when } from './output.ts'
import { field, fieldsOf, numberField, textField } from '../../clients/admin/row.ts'
import { type QueuedMessage, readMessage } from './queue-message.ts'
import { explainMessage } from './queue-why.ts'

export async function list(options: GlobalOptions & { limit: number }): Promise<void> {
  const home = requireHome(options)
  let count = 0
  await askProgram(home, 'queue-admin', { op: 'list', limit: options.limit }, (row) => {
    const message = readMessage(row)
    if (options.json === true) process.stdout.write(`${count === 0 ? '[' : ','}\n${JSON.stringify(message)}`)
    else print(messageLines(message))
    count++
  })
  if (options.json === true) print(count === 0 ? '[]' : '\n]')
  else if (count === 0) print('the queue is empty')
  else if (count === options.limit) print(styled('dim', `the first ${count}; --limit shows more`))
}

export async function show(id: number, options: GlobalOptions): Promise<void> {
  const row = await askMessage(id, options)
  const message = readMessage(row)
  const content = Buffer.from(textField(row, 'content'), 'base64')
  if (options.json === true) return printJson({ ...message, content: content.toString('base64') })
  print(messageLines(message))
  print('')
  print(content.toString('utf8').split('\n').map(harmless).join('\n').trimEnd())
  if (content.length < message.bytes) print(styled('dim', `… ${content.length} of ${message.bytes} bytes`))
}

export async function why(id: number, options: GlobalOptions): Promise<void> {
  const message = readMessage(await askMessage(id, options))
  const sentences = explainMessage(message, Date.now())
  if (options.json === true) printJson({ ...message, why: sentences.join(' ') })
  else print(sentences.join('\n'))
}

export async function retry(id: number | undefined, options: GlobalOptions & { all?: true }): Promise<void> {
  if ((id === undefined) !== (options.all === true))
    throw new CommandError("name a message or say --all: 'quaver queue retry --help'", exitCode.usage)
  if (id !== undefined) {
    const pending = await askPending({ op: 'retry', id }, options)
    if (options.json === true) printJson({ retried: id, pending })
    else print(`message ${id} is tried now${pending ? againAfter : ''}`)
    return
  }
  let recipients = 0
  await askProgram(requireHome(options), 'queue-admin', { op: 'retry', all: true }, (row) => {
    recipients = numberField(fieldsOf(row), 'recipients')
  })
  if (options.json === true) printJson({ retried: 'all', recipients })
  else if (recipients === 0) print('nobody waits: there is nothing to try')
  else print(recipients === 1 ? '1 waiting recipient is tried now' : `${recipients} waiting recipients are tried now`)
}

export async function hold(id: number, options: GlobalOptions): Promise<void> {
  const pending = await askPending({ op: 'hold', id }, options)
  if (options.json === true) printJson({ held: id, pending })
  else print(`message ${id} is held${pending ? underWay : ''}`)
}

export async function release(id: number | undefined, options: GlobalOptions & { all?: true }): Promise<void> {
  if ((id === undefined) !== (options.all === true))
    throw new CommandError("name a message or say --all: 'quaver queue release --help'", exitCode.usage)
  if (id === undefined) return await releaseAll(options)
  await askPending({ op: 'release', id }, options)
  if (options.json === true) printJson({ released: id })
  else print(`message ${id} is released, and tried now`)
}

async function releaseAll(options: GlobalOptions): Promise<void> {
  let released = 0
  await askProgram(requireHome(options), 'queue-admin', { op: 'release', all: true }, (row) => {
    released = numberField(fieldsOf(row), 'released')
  })
  if (options.json === true) printJson({ released: 'all', messages: released })
  else if (released === 0) print('nothing is held')
  else
    print(released === 1 ? '1 message is released, and tried now' : `${released} messages are released, and tried now`)
}

export async function remove(id: number, options: GlobalOptions): Promise<void> {
  const pending = await askPending({ op: 'delete', id }, options)
  if (options.json === true) printJson({ deleted: id, pending })
  else print(`message ${id} is deleted${pending ? underWay : ''}`)
}

const againAfter = ', and once more if the attempt that is under way, or about to be, is deferred'
const underWay = '; an attempt that is under way may still deliver it'

/** Whether an attempt was under way. */
async function askPending(request: object, options: GlobalOptions): Promise<boolean> {
  let pending = false
  await askProgram(requireHome(options), 'queue-admin', request, (row) => {
    pending = field(fieldsOf(row), 'pending') === true
  })
  return pending
}

async function askMessage(id: number, options: GlobalOptions): Promise<object> {
  const home = requireHome(options)
  let found: object | undefined
  await askProgram(home, 'queue-admin', { op: 'show', id }, (row) => {
    found = fieldsOf(row)
  })
  if (found === undefined || numberField(found, 'id') !== id)
    throw new CommandError(`there is no message ${id} in the queue`)
  return found
}

function messageLines(message: QueuedMessage): string {
  const sender = message.sender === '' ? '<> (a bounce)' : `<${message.sender}>`
  const held = message.held ? styled('yellow', '  held') : ''
  const head = `${styled('bold', String(message.id))}  ${when(message.bornMs)}  ${message.bytes} bytes  ${harmless(sender)}${held}`
  const recipients = message.recipients.map(({ address, channel, state, lastText }) => {
    const mark =
      state === 'waiting'
        ? styled('yellow', 'waiting')
        : state === 'failed'
          ? styled('red', 'failed ')
          : styled('green', 'done   ')
    const said = lastText === '' ? '' : styled('dim', `  ${harmless(inOneLine(lastText))}`)
    return `    ${mark}  ${channel.padEnd(6)}  ${harmless(address)}${said}`
  })
  return [head, ...recipients].join('\n')
}
