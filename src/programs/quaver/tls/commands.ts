/** Names, arguments, options, help and examples of `quaver tls`. */
import type { Command } from 'commander'
import { examples, subcommand } from '../command-form.ts'

export function addTls(program: Command): void {
  const group = subcommand(program, 'tls', 'Our certificates, and TLS to other servers.')
  examples(group, [
    ['quaver tls status', 'certificates, their issuers and dates, and the next renewal'],
    ['quaver tls explain example.org', 'how a message to that domain would be sent'],
  ])
  const explain = subcommand(
    group,
    'explain',
    'Show how a message to a domain would be sent: exchangers, MTA-STS, DANE, and the TLS that each exchanger offers now.',
  )
    .argument('<domain>', 'example.org, or an address there')
    .action(async (domain: string) => (await import('./explain-command.ts')).explain(domain, explain.optsWithGlobals()))
  examples(explain, [
    ['quaver tls explain example.org', 'connects to its exchangers, up to EHLO in TLS; nothing is sent'],
    ['quaver tls explain you@example.org --json', 'for scripts; exit code 1 if a message would wait'],
  ])
  const report = subcommand(group, 'report', 'Show results of TLS with other servers, by day, domain and policy.')
    .argument('[domain]', 'only of this domain')
    .option('--day <day>', 'only of this day (UTC), as 2026-12-31; ten days are kept')
    .option('--failures', 'only where something failed')
    .action(async (domain: string | undefined) =>
      (await import('./report.ts')).report(domain, report.optsWithGlobals()),
    )
  examples(report, [
    ['quaver tls report --failures', 'whose mail waits, or goes unencrypted, and why'],
    ['quaver tls report example.org --json', 'in the form of RFC 8460'],
  ])
  const status = subcommand(group, 'status', 'Show the certificates, and the state of renewal by ACME.').action(
    async () => (await import('./certificates.ts')).status(status.optsWithGlobals()),
  )
  examples(status, [
    ['quaver tls status', 'exit code 1 if one is unusable, or the authority issues none'],
    ['quaver tls status --json', ''],
  ])
  const renew = subcommand(
    group,
    'renew',
    'Get a new certificate from the authority in control/acme now. Refused while the authority might lock us out for it.',
  ).action(async () => (await import('./certificates.ts')).renew(renew.optsWithGlobals()))
  examples(renew, [['quaver tls renew', 'shows each step; exit code 1 if none is given']])
}
