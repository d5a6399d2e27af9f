/** Names, arguments, options, help and examples of `quaver dkim`. */
import { type Command, Option } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addDkim(program: Command): void {
  const group = subcommand(program, 'dkim', 'Signatures on outgoing mail (DKIM): keys, and what to publish.')
  examples(group, [
    ['quaver dkim keygen example.org', 'makes a key and signs with it'],
    ['quaver dkim check', 'can receivers verify with the keys?'],
  ])
  addKeygen(group)
  const show = subcommand(group, 'show', 'Show the keys, and their records for the zone.')
    .argument('[domain]', 'only of this domain')
    .action(async (domain: string | undefined) => (await import('./dkim.ts')).show(domain, show.optsWithGlobals()))
  examples(show, [['quaver dkim show example.org --json', '']])
  const check = subcommand(group, 'check', 'Ask the DNS for the keys, sign a test message and verify it.')
    .argument('[domain]', 'only of this domain')
    .action(async (domain: string | undefined) => (await import('./dkim.ts')).check(domain, check.optsWithGlobals()))
  examples(check, [['quaver dkim check', 'exit code 1 if a receiver could not verify']])
  const rotate = subcommand(group, 'rotate', 'Change to a new key: make it first, and use it once the DNS has it.')
    .argument('<domain>', 'example.org')
    .option('--now', 'use it even if the DNS does not have it yet')
    .action(async (domain: string) => (await import('./dkim.ts')).rotate(domain, rotate.optsWithGlobals()))
  examples(rotate, [['quaver dkim rotate example.org', 'run it, publish what it shows, run it again']])
  const retire = subcommand(group, 'retire', 'Delete a private key that no longer signs.')
    .argument('<domain>', 'example.org')
    .argument('<selector>', 'as dkim show names it')
    .action(async (domain: string, selector: string) =>
      (await import('./dkim.ts')).retire(domain, selector, retire.optsWithGlobals()),
    )
  examples(retire, [['quaver dkim retire example.org q1', 'refused while it signs']])
}

function addKeygen(group: Command): void {
  const keygen = subcommand(group, 'keygen', 'Make a key. The first one of a domain signs at once.')
    .argument('<domain>', 'example.org')
    .addOption(new Option('--type <type>', 'kind of key').choices(['rsa', 'ed25519']).default('rsa'))
    .option('--selector <name>', 'its name in the DNS (default: the first of q1, q2, … that is free)')
    .option('--also', 'sign with it, too, beside the keys that sign already')
    .action(async (domain: string) => (await import('./dkim.ts')).keygen(domain, keygen.optsWithGlobals()))
  examples(keygen, [
    ['quaver dkim keygen example.org', ''],
    ['quaver dkim keygen example.org --type ed25519 --also', 'a second signature on every message'],
  ])
}
