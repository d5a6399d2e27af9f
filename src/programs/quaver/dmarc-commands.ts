/** Names, arguments, options, help and examples of `quaver dmarc`. */
import { type Command, InvalidArgumentError } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addDmarc(program: Command): void {
  const group = subcommand(
    program,
    'dmarc',
    'DMARC: is the author of a message genuine, and what do others report about our domains?',
  )
  examples(group, [
    ['quaver dmarc explain saved.eml', ''],
    ['quaver dmarc reports', 'who sends in the name of our domains'],
  ])
  addReports(group)
  addTake(group)
  const explain = subcommand(
    group,
    'explain',
    'Evaluate a saved message as the running server would, and show every step: signatures, policies, result.',
  )
    .argument('<file>', 'a message with its whole header, as mail programs save it')
    .option('--ip <address>', 'where it came from; without it SPF is not checked')
    .option('--helo <name>', 'what that client said in HELO or EHLO', '')
    .option('--from <sender>', 'its reverse-path (default: that of the Return-Path field)')
    .action(async (file: string) => (await import('./dmarc.ts')).explain(file, explain.optsWithGlobals()))
  examples(explain, [
    ['quaver dmarc explain saved.eml', 'by its signatures alone'],
    ['quaver dmarc explain saved.eml --ip 192.0.2.1 --helo mx.example.org', 'with SPF'],
    ['quaver dmarc explain saved.eml --json', 'for scripts; exit code 1 if the result is fail or permerror'],
  ])
}

function addReports(group: Command): void {
  const reports = subcommand(
    group,
    'reports',
    'Sum up what others report: from which addresses mail in the name of our domains came, and whether it passed.',
  )
    .option('--domain <domain>', 'only of this domain')
    .option('--days <number>', 'only of this many days back', daysFrom, 30)
    .option('--pending', 'show the reports that we owe others instead: pending and sent ones')
    .action(async (options: { pending?: true }) => {
      const shown = await import('./dmarc-reports.ts')
      if (options.pending === true) await shown.pending(reports.optsWithGlobals())
      else shown.reports(reports.optsWithGlobals())
    })
  examples(reports, [
    ['quaver dmarc reports', ''],
    ['quaver dmarc reports --domain example.org --days 7', ''],
    ['quaver dmarc reports --json', 'every source'],
    ['quaver dmarc reports --pending', 'reports of ours about mail of others'],
  ])
}

function addTake(group: Command): void {
  const take = subcommand(
    group,
    'take',
    'For .qmail files: keep the report in the mail on standard input, if it is one from an authenticated domain.',
  ).action(async () => (await import('./dmarc-take.ts')).take(take.optsWithGlobals()))
  examples(take, [
    ['|quaver dmarc take', 'in alias/.qmail-dmarc-reports, where start puts it; exit code 99 if it is kept'],
  ])
}

const daysMax = 400

function daysFrom(text: string): number {
  const days = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (days >= 1 && days <= daysMax) return days
  throw new InvalidArgumentError(`a number of days is needed, 1 to ${daysMax}.`)
}
