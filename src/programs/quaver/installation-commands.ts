/** Names, arguments, options, help and examples of the commands about the machine: services at boot, set-up, its checks, and
 *  the way back. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addInstallation(program: Command): void {
  addSetup(program)
  addDoctor(program)
  addMetrics(program)
  addCheck(program)
  addUninstall(program)
  addServices(program)
}

function addServices(program: Command): void {
  const group = subcommand(program, 'services', 'Start at boot: files for the init system of this machine.')
  examples(group, [
    ['quaver services list', 'which there are, and which one runs this machine'],
    ['quaver services install systemd', 'nothing is enabled by that'],
  ])
  const list = subcommand(group, 'list', 'List init systems, and for which of them files are installed.').action(
    async () => (await import('./services/services.ts')).list(list.optsWithGlobals()),
  )
  examples(list, [['quaver services list --json', '']])
  const show = subcommand(group, 'show', 'Print the files for an init system.')
    .argument('<system>', "a name of 'quaver services list'")
    .action(async (name: string) => (await import('./services/services.ts')).show(name, show.optsWithGlobals()))
  examples(show, [
    ['quaver services show openrc', ''],
    ['quaver services show runit --json', 'path, mode and text of each file'],
  ])
  const install = subcommand(group, 'install', 'Write these files, and say how to enable the service. Root only.')
    .argument('<system>', "a name of 'quaver services list'")
    .action(async (name: string) => (await import('./services/services.ts')).install(name, install.optsWithGlobals()))
  examples(install, [['quaver services install systemd', 'what was edited stays, and is told']])
  const remove = subcommand(group, 'remove', 'Take them away, unless they were edited.')
    .argument('[system]', 'only those for this one')
    .action(async (name: string | undefined) =>
      (await import('./services/services.ts')).remove(name, remove.optsWithGlobals()),
    )
  examples(remove, [['quaver services remove', 'says how to disable the service first, if it is enabled']])
}

function addSetup(program: Command): void {
  const command = subcommand(
    program,
    'setup',
    'Make this machine a mail host: looks at it first, then makes accounts, home, certificate and the first mailbox, then tests it. Root only.',
  )
    .argument('[address]', 'the first account, which also gets mail for root and postmaster')
    .option('--host <name>', "this host's full name (default: as the machine or the DNS says)")
    .option('--smarthost <name:port>', 'all mail leaves through this server, where port 25 outward is closed')
    .option('--smarthost-user <name>', 'login there')
    .option('--smarthost-password-stdin', 'its password is the first line of standard input')
    .option(
      '--service <system>',
      "files for this init system ('quaver services list'), or none (default: the one that runs here)",
    )
    .option('--enable', 'start it now and at every boot, too')
    .option('--account <role:name>', 'another account of the machine for a role; once for each', gathered)
    .option('--mail-user <name>', 'account of the machine that owns the mail (default: vmail)')
    .option(
      '--acme [url]',
      "have an authority make the certificate, by HTTP on port 80 (default: Let's Encrypt); you agree to its terms by it",
    )
    .option('--no-var-qmail', 'no links in /var/qmail')
    .option(
      '--sendmail',
      "make the machine's sendmail, mailq and newaliases ours, whoever has them (default: where nobody has)",
    )
    .option('--no-sendmail', 'leave them alone')
    .option('--no-self-test', 'send no messages to test the services')
    .option('--ignore <check>', 'an error of this check is a warning; once for each', gathered)
    .option('--time-server <name>', 'whom to ask for the time', 'pool.ntp.org')
    .option('--dry-run', 'look, and say what would be made')
    .option('--yes', 'do not ask')
    .action(async (address: string | undefined) =>
      (await import('./setup/setup.ts')).setup(address, command.optsWithGlobals()),
    )
  examples(command, [
    ['quaver setup you@example.org', 'asks what it cannot know'],
    ['quaver setup you@example.org --host mail.example.org --yes --enable', 'a mail host in one command'],
    [
      'quaver setup you@example.org --host mail.example.org --acme --yes --enable',
      'with a certificate of an authority',
    ],
    ['quaver setup you@example.org --smarthost smtp.provider.example:587 --dry-run', ''],
    ['quaver setup you@example.org --yes', 'again: does what is missing; says so in a line if nothing is'],
  ])
}

function gathered(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function addDoctor(program: Command): void {
  const command = subcommand(
    program,
    'doctor',
    'Look at machine, network, DNS, files and services, and say what is wrong and what to do. Exit code 1 for errors.',
  )
    .option('--fix', 'mend what can be mended safely: owners, modes, compiled files that are behind, the queue')
    .option('--offline', 'ask nobody elsewhere')
    .option('--thorough', 'look into the queue however large it is')
    .option('--time-server <name>', 'whom to ask for the time', 'pool.ntp.org')
    .action(async () => (await import('./doctor/doctor.ts')).doctor(command.optsWithGlobals()))
  examples(command, [
    ['quaver doctor', 'Errors, Warnings and Notes'],
    ['quaver doctor --json', 'for scripts and monitoring'],
    ['quaver doctor --fix', ''],
  ])
}

function addMetrics(program: Command): void {
  const command = subcommand(program, 'metrics', "Print figures for monitoring, in Prometheus' text form.")
    .option('--output <file>', "put them there, whole at every moment; as for node_exporter's textfile collector")
    .action(async () => (await import('./metrics.ts')).metrics(command.optsWithGlobals()))
  examples(command, [
    ['quaver metrics', ''],
    ['quaver metrics --output /var/lib/prometheus/node-exporter/quaver.prom', 'every minute, by cron'],
  ])
}

function addCheck(program: Command): void {
  const command = subcommand(
    program,
    'check',
    'Say nothing if every file of the installation and of the home is as it was made; else a line for each.',
  ).action(async () => (await import('./check.ts')).check(command.optsWithGlobals()))
  examples(command, [['quaver check || quaver doctor --fix', '']])
}

function addUninstall(program: Command): void {
  const command = subcommand(
    program,
    'uninstall',
    'Remove what setup and the programs made. Mail, and what somebody edited, stays unless it is asked for. Root only.',
  )
    .option('--delete-mail', 'all accounts with their mail, and what waits in the queue; there is no way back')
    .option('--programs', 'the programs, too, where install.sh put them')
    .option('--dry-run', 'only list what setup made')
    .option('--yes', 'do not ask')
    .action(async () => (await import('./uninstall/uninstall.ts')).uninstall(command.optsWithGlobals()))
  examples(command, [
    ['quaver uninstall', 'says what stays, and why'],
    ['quaver uninstall --delete-mail --yes && apt-get purge quaver', 'as if it had never been there'],
  ])
}
