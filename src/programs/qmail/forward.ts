/** forward(1), condredirect(1): send the message on, from a `.qmail` line. */
import type { ByteString } from '../../base/byte-string.ts'
import { type Call, exit, Fatal } from './call.ts'
import { runChild } from './child-programs.ts'
import { enqueue, withHead } from './send.ts'

export async function forward(call: Call): Promise<number> {
  const qp = await sendOn(call, 'NEWSENDER', call.args, call.input())
  call.err(`forward: qp ${qp}\n`)
  return exit.ok
}

/** Only if its program exits 0; then the rest of `.qmail` is ignored. */
export async function condredirect(call: Call): Promise<number> {
  const [address, ...command] = call.args
  if (address === undefined || command.length === 0)
    throw new Fatal(exit.permanent, 'condredirect: usage: condredirect newaddress program [ arg ... ]')
  if ((await runChild(call, command)) !== 0) return exit.ok
  const qp = await sendOn(call, 'SENDER', [address], call.input(true))
  call.err(`condredirect: qp ${qp}\n`)
  return 99
}

async function sendOn(
  call: Call,
  senderVariable: string,
  recipients: readonly ByteString[],
  input: Iterable<Buffer>,
): Promise<number> {
  const prefix = `${call.name}: fatal: `
  const variable = (name: string): ByteString => {
    const value = call.variables.get(name)
    if (value === undefined) throw new Fatal(exit.permanent, `${prefix}${name} not set`)
    return value
  }
  const sender = variable(senderVariable)
  const deliveredTo = variable('DTLINE')
  return enqueue(call, prefix, withHead(deliveredTo, input), () => ({ sender, recipients }))
}
