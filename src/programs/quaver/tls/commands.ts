/** Names, arguments, options, help and examples of `quaver tls`. */
import type { Command } from 'commander'
import { examples, subcommand } from '../command-form.ts'

export function addTls(program: Command): void {
  const group = subcommand(program, 'tls', 'Certificates of ours, and TLS to other servers.')
  examples(group, [
    ['quaver tls status', 'certificates: which, by whom, until when, and when the next one comes'],
    ['quaver tls explain example.org', 'what would be done with a message to that domain'],
  ])
  const explain = subcommand(
    group,
    'explain',
    'Say what would be done with a message to a domain: exchangers, MTA-STS, DANE, and what each of them offers now.',
  )
    .argument('<domain>', 'example.org, or an address there')
    .action(async (domain: string) => (await import('./explain-command.ts')).explain(domain, explain.optsWithGlobals()))
  examples(explain, [
    ['quaver tls explain example.org', 'connects to its exchangers, up to EHLO in TLS; nothing is sent'],
    ['quaver tls explain you@example.org --json', 'for scripts; exit code 1 if a message would wait'],
  ])
  const report = subcommand(group, 'report', 'Show what came of TLS with other servers, by day, domain and policy.')
    .argument('[domain]', 'of this domain alone')
    .option('--day <day>', 'of this day alone (UTC), as 2026-12-31; ten days are kept')
    .option('--failures', 'only where something failed')
    .action(async (domain: string | undefined) =>
      (await import('./report.ts')).report(domain, report.optsWithGlobals()),
    )
  examples(report, [
    ['quaver tls report --failures', 'whose mail waits, or goes unencrypted, and why'],
    ['quaver tls report example.org --json', 'in the form of RFC 8460'],
  ])
  const status = subcommand(group, 'status', 'Show the certificates, and what becomes of that by ACME.').action(
    async () => (await import('./certificates.ts')).status(status.optsWithGlobals()),
  )
  examples(status, [
    ['quaver tls status', 'exit code 1 if one cannot be used, or the authority gives none'],
    ['quaver tls status --json', ''],
  ])
  const renew = subcommand(
    group,
    'renew',
    'Have the authority of control/acme make a new certificate now. Refused where the authority would lock us out for it.',
  ).action(async () => (await import('./certificates.ts')).renew(renew.optsWithGlobals()))
  examples(renew, [['quaver tls renew', 'shows each step; exit code 1 if none is given']])
}
