/** qmail-local(8) with `-n`: what a delivery would do. Deliveries themselves are the work of lspawn's processes. */
import type { Status } from '../../base/outcome.ts'
import { checkHome } from '../../stores/dot-qmail/home-files.ts'
import { describeDelivery } from '../../stores/dot-qmail/instructions.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { type Call, exit, Fatal } from './call.ts'
import { parseOptions } from './options.ts'

const usage = 'qmail-local: usage: qmail-local [ -nN ] user homedir local dash ext domain sender aliasempty'
const exitCodes = { 2: 0, 4: exit.temporary, 5: 100 } as const

export function local(call: Call): number {
  const { options, operands } = parseOptions(call.args, 'nN', 'qmail-local', usage)
  const [user, home, name, dash, ext, domain, , defaultDelivery, more] = operands
  if (user === undefined || home === undefined || name === undefined || dash === undefined) throw new Fatal(100, usage)
  if (ext === undefined || domain === undefined || defaultDelivery === undefined || more !== undefined)
    throw new Fatal(100, usage)
  if (!home.startsWith('/')) throw new Fatal(100, usage)
  if (options.at(-1)?.letter !== 'n')
    throw new Fatal(exit.temporary, 'qmail-local: fatal: deliveries are made by Quaver itself: only -n is there')
  const fault = checkHome(quickFiles, home)
  // 4.2.1: sticky. Only a warning: the caller may be editing `.qmail` just now.
  if (fault?.subject === 2 && fault.detail === 1) call.err('Warning: home directory is sticky.\n')
  else if (fault !== undefined) return say(call, fault)
  const assignment = { key: 0, user, home, local: name, dash, ext, domain, defaultDelivery }
  return say(call, describeDelivery(quickFiles, assignment))
}

function say(call: Call, { class: statusClass, peerText }: Status): number {
  if (statusClass === 2) call.out(peerText)
  else call.err(peerText)
  return exitCodes[statusClass]
}
