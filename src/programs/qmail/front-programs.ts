/** Programs that stand in front of another on descriptors 0 and 1, and become it: checknotroot, greetdelay(1), fixsmtpio(8). */
import type { ByteString } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { formatReply, replies } from '../../protocols/smtp/replies.ts'
import { greetDelay } from '../../servers/listener/admission.ts'
import { listenerLimits } from '../../servers/listener/limits.ts'
import { type Call, exit, Fatal, type Variables } from './call.ts'

const refused = 1

/** Returns the exit code of the next program, if this process could not become it. */
export async function becomeNext(
  call: Call,
  command: readonly ByteString[],
  variables: Variables = call.variables,
): Promise<number> {
  const [program] = command
  if (program === undefined) throw new Fatal(exit.permanent, `${call.name}: usage: ${call.name} program [ arg ... ]`)
  const end = await call.become(command, variables)
  if (end.kind === 'exit') return end.code
  if (end.kind === 'crash') throw new Fatal(exit.temporary, `${call.name}: fatal: child crashed`)
  throw new Fatal(exit.temporary, `${call.name}: fatal: unable to run ${program}: ${errnoText(end.error)}`)
}

/** Exits as for a wrong password: a right one of root must look the same. */
export async function checknotroot(call: Call): Promise<number> {
  if (call.uid === 0) throw new Fatal(refused, 'checknotroot: WAS RUNNING AS ROOT, TERMINATING')
  return await becomeNext(call, call.args)
}

/** Waits GREETDELAY seconds unless the client may relay: one that talks before the greeting is refused. */
export async function greetdelay(call: Call): Promise<number> {
  const [first] = call.args
  if (!waitForGreeting(call, call.variables.get('GREETDELAY'))) return exit.temporary
  return await becomeNext(call, first === '--' ? call.args.slice(1) : call.args)
}

/** False: the client did not wait, and was told so. `seconds`: empty, undefined or no number means no delay. */
export function waitForGreeting(call: Call, seconds: ByteString | undefined): boolean {
  const variables = new Map(call.variables).set('GREETDELAY', seconds ?? '')
  const delay = greetDelay(variables, listenerLimits.greetDelaySecondsMax)
  if (delay === 0 || !call.hasInput(delay)) return true
  const ip = call.variables.get('TCPREMOTEIP') ?? 'unknown'
  call.err(`${call.name}: ${ip} pid ${call.pid}: premature input on stdin\n`)
  call.out(formatReply(replies.outOfTurn, false))
  return false
}

/** In front of qmail-smtpd, which applies control/fixsmtpio itself. */
export async function fixsmtpio(call: Call): Promise<number> {
  const [program = ''] = call.args
  const isOurs = program.slice(program.lastIndexOf('/') + 1) === 'qmail-smtpd'
  if (program !== '' && !isOurs && !call.variables.has('NOFIXSMTPIO'))
    throw new Fatal(
      exit.temporary,
      `fixsmtpio: fatal: in front of qmail-smtpd only, which applies control/fixsmtpio itself; not of ${program}`,
    )
  return await becomeNext(call, call.args)
}
