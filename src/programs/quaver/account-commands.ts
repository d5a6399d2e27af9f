/** Names, arguments, options, help and examples of the commands about accounts, domains, aliases and their DNS records. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

const ownUidHelp = `
Uids: the accounts of a domain share one account of the machine (--user, for the first of them). Deliveries and sessions under
that uid cannot touch the mail of other domains, nor the rest of the system; but an attacker who breaks into one mailbox, for
example by a program in its .qmail, reaches the others of its domain.
With --own-uid no other address may use the account that --user names, now or later: that mailbox is isolated completely.`

export function addAccounts(program: Command): void {
  const group = subcommand(program, 'account', 'Mail accounts of hosted domains.')
  examples(group, [
    ['quaver account add anna@example.org', ''],
    ['quaver account show anna@example.org', 'what to type into a mail program'],
    ['quaver account list', ''],
  ])
  addAdd(group)
  addLook(group)
  addPassword(group)
  addAble(group)
  addQuota(group)
  addExport(group)
  addCompile(group)
  addRename(group)
  addRemove(group)
  addDomain(program)
  addAlias(program)
  addDns(program)
}

function addAdd(group: Command): void {
  const add = subcommand(group, 'add', 'Add an account; its domain becomes one of ours. Prints the password once.')
    .argument('<address>', 'name@domain')
    .option('--password-stdin', 'read the password from standard input instead of making one')
    .option('--user <name>', 'account of the machine that owns the mail (default: that of the domain; demo: you)')
    .option('--own-uid', 'the account that --user names is for this address alone')
    .option('--quota <size>', 'limit of the mailbox, such as 500M or 2G')
    .option('--with-old-mail', 'give this account the mail that an earlier one of this name left')
    .action(async (address: string) => (await import('./account.ts')).add(address, add.optsWithGlobals()))
  add.addHelpText('after', ownUidHelp)
  examples(add, [
    ['quaver account add anna@example.org', ''],
    ['quaver account add anna@example.org --password-stdin < file', ''],
    ['quaver account add anna@example.org --quota 2G', ''],
    ['quaver account add anna@example.org --user vmail', "root: 'vmail' must exist and owns the domain's mail"],
    [
      'quaver account add anna@example.org --user anna-mail --own-uid',
      'root: isolated from the other accounts of the domain',
    ],
  ])
}

function addLook(group: Command): void {
  const list = subcommand(group, 'list', 'List accounts with owner, quota and Maildir.').action(async () =>
    (await import('./account.ts')).list(list.optsWithGlobals()),
  )
  examples(list, [['quaver account list --json', 'names each Maildir']])
  const show = subcommand(group, 'show', 'Show what to type into a mail program, and the state of the account.')
    .argument('<address>', 'name@domain')
    .action(async (address: string) => (await import('./account-show.ts')).show(address, show.optsWithGlobals()))
  examples(show, [
    ['quaver account show anna@example.org', ''],
    ['quaver account show anna@example.org --json', 'for scripts'],
  ])
}

function addPassword(group: Command): void {
  const password = subcommand(
    group,
    'password',
    'Set the password, or one for a single app or device. A generated password is printed once.',
  )
    .argument('<address>', 'name@domain')
    .option('--password-stdin', 'read the password from standard input instead of making one')
    .option('--app <name>', 'a further password with this name; the others stay')
    .option('--remove-app <name>', 'remove the password with this name')
    .action(async (address: string) =>
      (await import('./account-password.ts')).password(address, password.optsWithGlobals()),
    )
  examples(password, [
    ['quaver account password anna@example.org', 'a new main password'],
    ['quaver account password anna@example.org --app phone', ''],
    ['quaver account password anna@example.org --remove-app phone', 'the phone is lost; other passwords stay valid'],
  ])
}

function addAble(group: Command): void {
  for (const [name, disabled, description] of [
    ['disable', true, 'Stop logins to an account, to read or to send. Mail for it is still delivered.'],
    ['enable', false, 'Let a disabled account log in again, with the passwords it had.'],
  ] as const) {
    const command = subcommand(group, name, description)
      .argument('<address>', 'name@domain')
      .action(async (address: string) =>
        (await import('./account-password.ts')).able(address, disabled, command.optsWithGlobals()),
      )
    examples(command, [[`quaver account ${name} anna@example.org`, '']])
  }
}

function addQuota(group: Command): void {
  const quota = subcommand(group, 'quota', 'Show how much mail an account has, and set how much it may have.')
    .argument('<address>', 'name@domain')
    .argument('[size]', "such as 500M or 2G; 'none' removes the limit")
    .action(async (address: string, size: string | undefined) =>
      (await import('./account-quota.ts')).quota(address, size, quota.optsWithGlobals()),
    )
  examples(quota, [
    ['quaver account quota anna@example.org 2G', 'kept in the file maildirsize of the Maildir'],
    ['quaver account quota anna@example.org', 'counts now'],
    ['quaver account quota anna@example.org none', ''],
  ])
}

function addExport(group: Command): void {
  const command = subcommand(
    group,
    'export',
    'Print accounts with their password hashes, for another server on this machine. Root alone can; keep it secret.',
  )
    .requiredOption('--dovecot', 'as a passwd-file of Dovecot')
    .action(async () => (await import('./account-export.ts')).exportAccounts(command.optsWithGlobals()))
  examples(command, [
    ['quaver account export --dovecot > /etc/dovecot/quaver.passwd', 'mode and owner: docs/recipes/dovecot-imap.md'],
  ])
}

function addCompile(group: Command): void {
  const command = subcommand(group, 'compile', 'Compile users/assign after it was edited by hand.').action(async () =>
    (await import('./account-compile.ts')).compile(command.optsWithGlobals()),
  )
  examples(command, [['quaver account compile', 'as qmail-newu; the other account commands do it themselves']])
}

function addRename(group: Command): void {
  const rename = subcommand(group, 'rename', 'Give an account another address; the old one stays as an alias.')
    .argument('<address>', 'name@domain')
    .argument('<new address>', 'name@domain')
    .action(async (from: string, to: string) =>
      (await import('./account-rename.ts')).rename(from, to, rename.optsWithGlobals()),
    )
  examples(rename, [
    ['quaver account rename anna@example.org anna.smith@example.org', 'mail and passwords move with it'],
  ])
}

function addRemove(group: Command): void {
  const remove = subcommand(group, 'remove', 'Remove an account with its passwords. Its mail stays where it is.')
    .argument('<address>', 'name@domain')
    .option('--delete-mail', 'delete the mail, too; this cannot be undone')
    .option('--yes', 'do not ask')
    .action(async (address: string) => (await import('./account.ts')).remove(address, remove.optsWithGlobals()))
  examples(remove, [
    ['quaver account remove anna@example.org', ''],
    ['quaver account remove anna@example.org --delete-mail --yes', 'in a script'],
  ])
}

function addDomain(program: Command): void {
  const group = subcommand(program, 'domain', 'Domains whose mail is kept here.')
  examples(group, [
    ['quaver domain add example.org', ''],
    ['quaver domain list', ''],
  ])
  const add = subcommand(group, 'add', 'Host a domain. Its postmaster, abuse and hostmaster lead to one address.')
    .argument('<domain>', 'example.org')
    .option('--to <address>', 'where they lead (default: to the first account, as soon as there is one)')
    .action(async (domain: string) => (await import('./domain.ts')).add(domain, add.optsWithGlobals()))
  examples(add, [
    ['quaver domain add example.org', "'quaver account add' does it, too"],
    ['quaver domain add example.org --to admin@example.com', ''],
  ])
  const list = subcommand(group, 'list', 'List hosted domains.').action(async () =>
    (await import('./domain.ts')).list(list.optsWithGlobals()),
  )
  examples(list, [['quaver domain list --json', '']])
  const remove = subcommand(group, 'remove', 'Stop hosting a domain, and remove its aliases.')
    .argument('<domain>', 'example.org')
    .option('--accounts', 'remove its accounts, too; their mail stays')
    .option('--delete-mail', 'with --accounts: delete their mail; this cannot be undone')
    .option('--yes', 'do not ask')
    .action(async (domain: string) => (await import('./domain.ts')).remove(domain, remove.optsWithGlobals()))
  examples(remove, [
    ['quaver domain remove example.org', 'refused while it has accounts'],
    ['quaver domain remove example.org --accounts --yes', ''],
  ])
}

function addAlias(program: Command): void {
  const group = subcommand(program, 'alias', 'Further addresses of accounts, and addresses that lead elsewhere.')
  examples(group, [
    ['quaver alias add sales@example.org anna@example.org', ''],
    ['quaver alias add @example.org anna@example.org', 'a catch-all: mail for names that do not exist'],
  ])
  const add = subcommand(group, 'add', 'Make an alias, or add targets to one.')
    .argument('<address>', 'name@domain, or @domain for a catch-all')
    .argument('<target...>', 'accounts here, or any addresses')
    .action(async (address: string, targets: string[]) =>
      (await import('./alias.ts')).add(address, targets, add.optsWithGlobals()),
    )
  examples(add, [
    ['quaver alias add sales@example.org anna@example.org bob@example.com', ''],
    ['quaver alias add @example.org anna@example.org', 'catch-all; accounts, their extensions and aliases go first'],
  ])
  const list = subcommand(group, 'list', 'List aliases and where they lead.')
    .argument('[domain]', 'only those of this domain')
    .action(async (domain: string | undefined) => (await import('./alias.ts')).list(domain, list.optsWithGlobals()))
  examples(list, [['quaver alias list example.org', '']])
  const remove = subcommand(group, 'remove', 'Remove an alias, or some of its targets.')
    .argument('<address>', 'name@domain or @domain')
    .argument('[target...]', 'only these')
    .action(async (address: string, targets: string[]) =>
      (await import('./alias.ts')).remove(address, targets, remove.optsWithGlobals()),
    )
  examples(remove, [
    ['quaver alias remove sales@example.org', ''],
    ['quaver alias remove sales@example.org bob@example.com', 'the others stay'],
  ])
}

function addDns(program: Command): void {
  const dns = subcommand(
    program,
    'dns',
    'Print the DNS records to publish for hosted domains, as lines of a zone file.',
  )
    .argument('[domain]', 'only for this one')
    .action(async (domain: string | undefined) => (await import('./dns.ts')).dns(domain, dns.optsWithGlobals()))
  examples(dns, [
    ['quaver dns example.org', 'MX, SPF, and what mail programs look for (SRV)'],
    ['quaver dns --json', 'for scripts'],
  ])
}
