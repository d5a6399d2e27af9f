/** Names, arguments, options, help and examples of `quaver tls`. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addTls(program: Command): void {
  const group = subcommand(program, 'tls', 'Certificates, and their renewal by an authority (ACME).')
  examples(group, [
    ['quaver tls status', 'which there are, by whom, until when, and when the next one comes'],
    ['quaver tls renew', 'now'],
  ])
  const status = subcommand(group, 'status', 'Show the certificates, and what becomes of that by ACME.').action(
    async () => (await import('./tls.ts')).status(status.optsWithGlobals()),
  )
  examples(status, [
    ['quaver tls status', 'exit code 1 if one cannot be used, or the authority gives none'],
    ['quaver tls status --json', ''],
  ])
  const renew = subcommand(
    group,
    'renew',
    'Have the authority of control/acme make a new certificate now. Refused where the authority would lock us out for it.',
  ).action(async () => (await import('./tls.ts')).renew(renew.optsWithGlobals()))
  examples(renew, [['quaver tls renew', 'shows each step; exit code 1 if none is given']])
}
