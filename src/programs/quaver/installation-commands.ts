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
    ['quaver services list', 'all of them, and the one that runs this machine'],
    ['quaver services install systemd', 'writes the files; enables nothing'],
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
  examples(install, [['quaver services install systemd', 'edited files stay, and are reported']])
  const remove = subcommand(group, 'remove', 'Remove these files, unless they were edited.')
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
    'Make this machine a mail host: check it, make accounts, home, certificate and the first mailbox, and test it. Root only.',
  )
    .argument('[address]', 'the first account, which also gets mail for root and postmaster')
    .option('--host <name>', "this host's full name (default: as the machine or the DNS says)")
    .option('--smarthost <name:port>', 'send all mail through this server, for example if outgoing port 25 is closed')
    .option('--smarthost-user <name>', 'login name there')
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
    .option('--ignore <check>', 'treat errors of this check as warnings; once for each', gathered)
    .option('--time-server <name>', 'server to ask for the time', 'pool.ntp.org')
    .option('--dry-run', 'look, and say what would be made')
    .option('--yes', 'do not ask')
    .action(async (address: string | undefined) =>
      (await import('./setup/setup.ts')).setup(address, command.optsWithGlobals()),
    )
  examples(command, [
    ['quaver setup you@example.org', 'asks for what it cannot find out'],
    ['quaver setup you@example.org --host mail.example.org --yes --enable', 'a mail host in one command'],
    [
      'quaver setup you@example.org --host mail.example.org --acme --yes --enable',
      'with a certificate of an authority',
    ],
    ['quaver setup you@example.org --smarthost smtp.provider.example:587 --dry-run', ''],
    ['quaver setup you@example.org --yes', 'again: does only what is missing'],
  ])
}

function gathered(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function addDoctor(program: Command): void {
  const command = subcommand(
    program,
    'doctor',
    'Check machine, network, DNS, files and services, and report faults with remedies. Exit code 1 for errors.',
  )
    .option('--fix', 'mend what is safe to mend: owners, modes, outdated compiled files, the queue')
    .option('--offline', 'make no queries to other hosts')
    .option('--thorough', 'check the queue even if it is large')
    .option('--time-server <name>', 'server to ask for the time', 'pool.ntp.org')
    .action(async () => (await import('./doctor/doctor.ts')).doctor(command.optsWithGlobals()))
  examples(command, [
    ['quaver doctor', 'Errors, Warnings and Notes'],
    ['quaver doctor --json', 'for scripts and monitoring'],
    ['quaver doctor --fix', ''],
  ])
}

function addMetrics(program: Command): void {
  const command = subcommand(program, 'metrics', "Print figures for monitoring, in Prometheus' text form.")
    .option(
      '--output <file>',
      "write them there, replacing the file atomically; for node_exporter's textfile collector",
    )
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
    'Report each file of the installation and of the home that has been changed; print nothing if none has.',
  ).action(async () => (await import('./check.ts')).check(command.optsWithGlobals()))
  examples(command, [['quaver check || quaver doctor --fix', '']])
}

function addUninstall(program: Command): void {
  const command = subcommand(
    program,
    'uninstall',
    'Remove what setup and the programs made. Edited files stay, and mail unless it is asked for. Root only.',
  )
    .option('--delete-mail', 'also all accounts with their mail, and the queue; this cannot be undone')
    .option('--programs', 'also the programs, if install.sh installed them')
    .option('--dry-run', 'only list what setup made')
    .option('--yes', 'do not ask')
    .action(async () => (await import('./uninstall/uninstall.ts')).uninstall(command.optsWithGlobals()))
  examples(command, [
    ['quaver uninstall', 'reports what stays, and why'],
    ['quaver uninstall --delete-mail --yes && apt-get purge quaver', 'as if it had never been there'],
  ])
}
