/** Names, arguments, options, help and examples of all subcommands. What they do is in files of their own. */
import { Argument, Command, CommanderError, InvalidArgumentError } from 'commander'
import { addAccounts } from './account-commands.ts'
import { addDkim } from './dkim-commands.ts'
import { addAdopt, addExport } from './moving-commands.ts'
import { addBackup } from './backup/backup-commands.ts'
import { addDmarc } from './dmarc-commands.ts'
import { common, examples, subcommand } from './command-form.ts'
import { exitCode } from './exit.ts'
import { addTls } from './tls/commands.ts'
import { addInstallation } from './installation-commands.ts'
import { version } from './version.ts'

export async function parse(args: readonly string[]): Promise<void> {
  try {
    await quaver().parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Its message is on standard error already. Help that was asked for is no error; help for want of a command is.
    process.exitCode = error.exitCode === 0 ? exitCode.ok : exitCode.usage
  }
}

export function quaver(): Command {
  const program = new Command('quaver')
  program
    .description('A mail server: qmail, rebuilt to be easy to run.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .showHelpAfterError("Try 'quaver --help'.")
    .configureOutput({ outputError: (text, write) => write(suggestByBeginning(program, text)) })
  common(program)
  examples(program, [
    ['npm start', 'the demo: everything on loopback, as yourself'],
    ['quaver status', 'what runs'],
    ['quaver queue why 1795', 'why a message waits'],
  ])
  addStart(program)
  addStop(program)
  addSignals(program)
  addStatus(program)
  addQueue(program)
  addAdopt(program)
  addSend(program)
  addControl(program)
  addAccounts(program)
  addDkim(program)
  addDmarc(program)
  addTls(program)
  addLogin(program)
  addSmtp(program)
  addRules(program)
  addOfmipname(program)
  addBackup(program)
  addInstallation(program)
  addTour(program)
  return program
}

/** Of names that begin as what was typed: `stat` is more likely meant for `status` than for `start`, which is nearer. */
export function suggestByBeginning(program: Command, text: string): string {
  const typed = /unknown command '([a-z-]+)'/.exec(text)?.[1]
  if (typed === undefined) return text
  const meant = program.commands.map((command) => command.name()).filter((name) => name.startsWith(typed))
  return meant.length === 0 ? text : text.replace(/\(Did you mean [^)]*\)/, `(Did you mean ${meant.join(' or ')}?)`)
}

function addStart(program: Command): void {
  const command = subcommand(program, 'start', 'Start Quaver; Ctrl-C or TERM stops it.')
    .option('--demo', 'loopback only, every process as the caller; makes what is missing')
    .option(
      '--services <names>',
      'run only these besides the queue: smtp, local, remote (default: control/services, or all)',
    )
    .option('--smtp-port <port>', 'SMTP port instead of that of control/listen-smtp (0 = a free one)')
    .option('--verbose', 'demo: show the log of all programs on the terminal')
    .option('--no-tour', 'demo: send no message to show its way')
    .option('--background', 'return when everything serves, or say why it does not; for scripts of init systems')
    .option('--pid-file <file>', 'with --background: write the process id there')
    .option('--log <form>', 'where it logs if control/log does not say: stderr, stamp, syslog, journal or json')
    .option('--ready-fd <number>', 'write a line end to this descriptor when everything serves (s6)')
    .action(async () => (await import('./start.ts')).start(command.optsWithGlobals()))
  examples(command, [
    ['quaver start --demo', 'the demo, in .quaver beside package.json'],
    ['quaver start --demo --home /tmp/try --smtp-port 2526', 'a second one'],
    ['quaver start --services remote,local', 'a host that sends but does not listen'],
    ['quaver start --background', 'as a script of an init system does'],
  ])
}

function addStop(program: Command): void {
  const command = subcommand(program, 'stop', 'Stop the Quaver of this home; running work is finished first.').action(
    async () => (await import('./status.ts')).stop(command.optsWithGlobals()),
  )
  examples(command, [['quaver stop --home /tmp/try', 'waits until everything has stopped']])
}

function addSignals(program: Command): void {
  const reload = subcommand(program, 'reload', 'Read control/locals, virtualdomains and percenthack again.').action(
    async () => (await import('./signals.ts')).reload(reload.optsWithGlobals()),
  )
  examples(reload, [['quaver reload', 'as HUP does; other control files are read when they change, or at the start']])
  const pause = subcommand(
    program,
    'pause',
    'Stop every program where it is. Connections wait, nothing is delivered, until resume.',
  ).action(async () => (await import('./signals.ts')).pause(pause.optsWithGlobals()))
  examples(pause, [['quaver pause; sleep 60; quaver resume', 'nothing changes meanwhile']])
  const resume = subcommand(program, 'resume', 'Let paused programs go on.').action(async () =>
    (await import('./signals.ts')).resume(resume.optsWithGlobals()),
  )
  examples(resume, [['quaver resume', '']])
}

function addStatus(program: Command): void {
  const command = subcommand(program, 'status', 'Show what runs, since when, and how many messages are queued.').action(
    async () => (await import('./status.ts')).status(command.optsWithGlobals()),
  )
  examples(command, [
    ['quaver status', ''],
    ['quaver status --json', 'for scripts; exit code 1 if it does not run, or not all of it'],
  ])
}

function addQueue(program: Command): void {
  const group = subcommand(program, 'queue', 'Look at the queue and act on it.')
  examples(group, [
    ['quaver queue list', 'every message with its recipients'],
    ['quaver queue why 1795', 'why it waits, in a sentence'],
    ['quaver queue retry --all', 'try everything now'],
  ])
  const list = subcommand(group, 'list', 'List messages, oldest first.')
    .option('--limit <count>', 'no more than this', countFromOne, 1000)
    .action(async () => (await import('./queue.ts')).list(list.optsWithGlobals()))
  examples(list, [
    ['quaver queue list --limit 20', ''],
    ['quaver queue list --json', 'one array for scripts'],
  ])
  const show = subcommand(group, 'show', 'Show one message: envelope, state of each recipient, content.')
    .addArgument(idArgument())
    .action(async (id: number) => (await import('./queue.ts')).show(id, show.optsWithGlobals()))
  examples(show, [['quaver queue show 1795', 'content up to 64 KiB']])
  const why = subcommand(
    group,
    'why',
    'Say why each recipient waits, what the other host replied, and when the next attempt is.',
  )
    .addArgument(idArgument())
    .action(async (id: number) => (await import('./queue.ts')).why(id, why.optsWithGlobals()))
  examples(why, [['quaver queue why 1795', '']])
  const retry = subcommand(group, 'retry', 'Try a message now, whatever its schedule says.')
    .addArgument(idArgument('[id]'))
    .option('--all', 'all messages')
    .action(async (id: number | undefined) => (await import('./queue.ts')).retry(id, retry.optsWithGlobals()))
  examples(retry, [
    ['quaver queue retry 1795', ''],
    ['quaver queue retry --all', 'after the network is back'],
  ])
  const hold = subcommand(group, 'hold', 'Keep a message in the queue and attempt nothing until it is released.')
    .addArgument(idArgument())
    .action(async (id: number) => (await import('./queue.ts')).hold(id, hold.optsWithGlobals()))
  examples(hold, [['quaver queue hold 1795', 'while you examine it']])
  const release = subcommand(group, 'release', 'Attempt a held message again, now.')
    .addArgument(idArgument('[id]'))
    .option('--all', 'all that are held, as after a restore')
    .action(async (id: number | undefined) => (await import('./queue.ts')).release(id, release.optsWithGlobals()))
  examples(release, [
    ['quaver queue release 1795', ''],
    ['quaver queue release --all', 'what was restored from a backup is sent'],
  ])
  const remove = subcommand(group, 'delete', 'Take a message out of the queue without a bounce. This cannot be undone.')
    .addArgument(idArgument())
    .action(async (id: number) => (await import('./queue.ts')).remove(id, remove.optsWithGlobals()))
  examples(remove, [['quaver queue delete 1795', '']])
  addExport(group)
}

function addSmtp(program: Command): void {
  const group = subcommand(program, 'smtp', 'Ask what the SMTP server would do.')
  examples(group, [['quaver smtp explain --ip 192.0.2.1 --from joe@example.org --to x@here.example', '']])
  const command = subcommand(
    group,
    'explain',
    'Say step by step what the running server would do with a transaction. Nothing is sent.',
  )
    .requiredOption('--ip <address>', 'where the client comes from')
    .option('--helo <name>', 'what it says in EHLO', 'client.example')
    .requiredOption('--from <sender>', 'its reverse-path; empty for a bounce')
    .requiredOption('--to <recipient...>', 'its recipients')
    .option('--message <file>', 'the message it sends; without it the explanation ends at DATA')
    .action(async () => (await import('./smtp.ts')).explain(command.optsWithGlobals()))
  examples(command, [
    ['quaver smtp explain --ip 192.0.2.1 --from joe@example.org --to postmaster@here.example', ''],
    ["quaver smtp explain --ip ::1 --from '' --to somebody@elsewhere.example --json", 'for scripts'],
    [
      'quaver smtp explain --ip 192.0.2.1 --from joe@example.org --to x@here.example --message saved.eml',
      'with the checks of the message itself',
    ],
  ])
}

function addRules(program: Command): void {
  const group = subcommand(program, 'rules', 'Who may connect: the rules in control/tcprules.')
  examples(group, [
    ['quaver rules check 192.0.2.1', 'which rule decides, and what it sets'],
    ['quaver rules compile', "after a change; 'quaver start' does it too"],
  ])
  const check = subcommand(group, 'check', 'Show which rule decides about a client, and what it sets.')
    .argument('<address>', 'IPv4 or IPv6')
    .option('--service <name>', 'smtp, ofmip or pop3', 'smtp')
    .option('--host <name>', 'as if this were its name (TCPREMOTEHOST)')
    .option('--info <name>', 'as if this were its TCPREMOTEINFO')
    .action(async (address: string) => (await import('./rules.ts')).check(address, check.optsWithGlobals()))
  examples(check, [
    ['quaver rules check ::1', ''],
    ['quaver rules check 192.0.2.1 --service pop3 --json', 'exit code 1 if it would be turned away'],
  ])
  const compile = subcommand(
    group,
    'compile',
    'Compile control/tcprules/NAME to NAME.cdb; running listeners use it at once.',
  )
    .argument('[name]', 'smtp, ofmip or pop3 (default: all that exist)')
    .action(async (name: string | undefined) => (await import('./rules.ts')).compile(name, compile.optsWithGlobals()))
  examples(compile, [['quaver rules compile smtp', 'names each faulty line; then the cdb stays as it was']])
}

function addOfmipname(program: Command): void {
  const command = subcommand(
    program,
    'ofmipname',
    'Compile your own sender rules, key:name:address: on standard input, for submission.',
  )
    .argument('[files...]', 'rules.cdb rules.tmp')
    .action(async (files: string[]) => (await import('./ofmipname.ts')).ofmipname(files))
  examples(command, [
    [
      'cd ~/.ofmipd && quaver ofmipname rules.cdb rules.tmp < rules',
      'joe@laptop.example.org:Joe Public:joe@example.org: sends mail from joe@laptop as joe@example.org',
    ],
  ])
}

function addSend(program: Command): void {
  const command = subcommand(
    program,
    'send',
    'Send a message read from standard input; prints its number in the queue.',
  )
    .argument('<recipient...>', 'addresses; they are not taken from the header')
    .option('-f, --from <sender>', "envelope sender; '' for none (default: you at control/me)")
    .option('--probe', 'send nothing: show what the server of this one recipient says to us, and its TLS')
    .action(async (recipients: string[]) => (await import('./send.ts')).send(recipients, command.optsWithGlobals()))
  examples(command, [
    ["printf 'Subject: hello\\n\\nHello.\\n' | quaver send demo@quaver.test", ''],
    ['quaver send -f news@example.org a@example.com b@example.com < letter.eml', ''],
    ['quaver send --probe someone@example.com', 'exit code 0: it would be accepted, 111: not now, 100: never'],
  ])
}

function addControl(program: Command): void {
  const group = subcommand(program, 'control', 'Show and check the files in HOME/control.')
  examples(group, [
    ['quaver control show', 'every file: what it says, or its default'],
    ['quaver control check', 'exit code 1 and a line for each fault'],
  ])
  const show = subcommand(group, 'show', 'Show what each control file says, or one of them with its meaning.')
    .argument('[name]', 'a control file')
    .option('--all', 'also absent ones, with their defaults')
    .action(async (name: string | undefined) => (await import('./control.ts')).show(name, show.optsWithGlobals()))
  examples(show, [
    ['quaver control show', ''],
    ['quaver control show databytes', ''],
    ['quaver control show --json', ''],
  ])
  const check = subcommand(
    group,
    'check',
    'Report each faulty file with line, reason and remedy, checked with the rights of the account that reads it.',
  ).action(async () => (await import('./control-check.ts')).check(check.optsWithGlobals()))
  examples(check, [['quaver control check && quaver stop', '']])
}

function addLogin(program: Command): void {
  const group = subcommand(program, 'login', 'Who fails to log in, and who is locked out.')
  examples(group, [
    ['quaver login failures', ''],
    ['quaver login forgive anna@example.org', 'lets in again'],
  ])
  const failures = subcommand(
    group,
    'failures',
    'Show addresses and accounts with failed logins, the last first, and how long they are locked.',
  ).action(async () => (await import('./login.ts')).failures(failures.optsWithGlobals()))
  examples(failures, [['quaver login failures --json', '']])
  const forgive = subcommand(group, 'forgive', 'Forget the failed logins of an account, or from an IP address.')
    .argument('<who>', 'name@domain, or an IP address')
    .action(async (who: string) => (await import('./login.ts')).forgive(who, forgive.optsWithGlobals()))
  examples(forgive, [
    ['quaver login forgive anna@example.org', ''],
    ['quaver login forgive 192.0.2.1', 'exit code 1 if it has no failed logins'],
  ])
}

function addTour(program: Command): void {
  const command = subcommand(program, 'tour', 'Demo: send a message to yourself by SMTP and watch its way.').action(
    async () => (await import('./tour.ts')).tour(command.optsWithGlobals()),
  )
  examples(command, [['quaver tour', "while 'npm start' runs in another terminal"]])
}

function idArgument(name = '<id>'): Argument {
  return new Argument(name, "a message's number, as the log and 'quaver queue list' give it").argParser(wholeNumber)
}

function countFromOne(text: string): number {
  const count = wholeNumber(text)
  if (count > 0) return count
  throw new InvalidArgumentError('1 or more is needed.')
}

function wholeNumber(text: string): number {
  const number = /^#?\d{1,16}$/.test(text) ? Number(text.replace('#', '')) : Number.NaN
  if (Number.isSafeInteger(number)) return number
  throw new InvalidArgumentError('a whole number is needed.')
}
