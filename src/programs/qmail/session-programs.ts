/** qmail-smtpd(8) and its kin: one session on descriptors 0 and 1, by becoming the program of that service. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromText } from '../../base/byte-string.ts'
import { errorReply, refusals } from '../../protocols/pop3/replies.ts'
import { type Call, exit, Fatal } from './call.ts'

export function smtpd(call: Call): Promise<number> {
  return becomeOurs(call, 'smtpd', ['--once'])
}

export function qmtpd(call: Call): Promise<number> {
  return becomeOurs(call, 'qmtpd', ['--once', '--service', 'qmtp'])
}

export function qmqpd(call: Call): Promise<number> {
  return becomeOurs(call, 'qmtpd', ['--once', '--service', 'qmqp'])
}

export async function pop3d(call: Call): Promise<number> {
  const [maildir = ''] = call.args
  if (maildir !== '') return await becomeOurs(call, 'local', ['--maildir', maildir])
  call.out(errorReply(refusals.noMaildir))
  return exit.ok
}

async function becomeOurs(call: Call, program: string, args: readonly ByteString[]): Promise<number> {
  const command = [process.execPath, ...process.execArgv, mainFile(program), '--home', call.home().path]
  const end = await call.become([...command.map(fromText), ...args], call.variables)
  if (end.kind === 'exit') return end.code
  throw new Fatal(exit.temporary, `${call.name}: fatal: unable to run`)
}

/** The file of a built tree, else of a clone. */
export function mainFile(program: string): string {
  const directory = join(import.meta.dirname, '..', program)
  const built = join(directory, 'main.js')
  return existsSync(built) ? built : join(directory, 'main.ts')
}
