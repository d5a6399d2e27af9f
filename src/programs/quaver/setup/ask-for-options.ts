/** The questions of `quaver setup` on a terminal: for options that were not given, each with a likely default. */
import { createInterface, type Interface } from 'node:readline/promises'
import { hostname } from 'node:os'
import { CommandError, exitCode } from '../exit.ts'
import { initSystemNames, systemHere } from '../services/systems.ts'
import type { SetupOptions } from './plan.ts'

/** Without a terminal, or with --yes, nothing is asked. */
export async function askForOptions(
  address: string | undefined,
  options: SetupOptions,
): Promise<{ readonly address: string; readonly options: SetupOptions }> {
  const mayAsk =
    options.yes !== true &&
    options.dryRun !== true &&
    options.json !== true &&
    process.stdin.isTTY &&
    process.stderr.isTTY
  if (!mayAsk) {
    if (address === undefined) throw new CommandError('name the first account, such as you@example.org', exitCode.usage)
    if (options.yes !== true && options.dryRun !== true)
      throw new CommandError('without a terminal nobody can be asked: give --yes, or --dry-run to look', exitCode.usage)
    return { address, options }
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const who = address ?? (await question(terminal, 'Address of the first account', ''))
    const own = hostname().includes('.') ? hostname() : `mail.${who.slice(who.indexOf('@') + 1)}`
    const host = options.host ?? (await question(terminal, 'Full name of this host', own))
    const smarthost =
      options.smarthost ??
      (await question(terminal, 'Server that all mail leaves through, name:port (empty: none)', ''))
    const service =
      options.service ??
      (await question(terminal, `Init system (${initSystemNames.join(', ')}, none)`, systemHere() ?? 'none'))
    return { address: who, options: { ...options, host, service, ...(smarthost === '' ? {} : { smarthost }) } }
  } finally {
    terminal.close()
  }
}

async function question(terminal: Interface, text: string, usual: string): Promise<string> {
  const answer = (await terminal.question(usual === '' ? `${text}: ` : `${text} [${usual}]: `)).trim()
  return answer === '' ? usual : answer
}
