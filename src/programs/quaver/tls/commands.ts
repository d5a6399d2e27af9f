/** Names, arguments, options, help and examples of `quaver tls`. */
import type { Command } from 'commander'
import { examples, subcommand } from '../command-form.ts'

export function addTls(program: Command): void {
  const group = subcommand(program, 'tls', 'TLS to other servers: what they publish, offer and get.')
  examples(group, [['quaver tls explain example.org', '']])
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
}
