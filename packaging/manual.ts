/** The manual in mdoc(7), made of the tables by which the programs themselves go: commands with their options and examples,
 *  control files, qmail's programs. */
import type { Argument, Command, Option } from 'commander'
import { examplesOf } from '../src/programs/quaver/command-form.ts'
import { quaver } from '../src/programs/quaver/commands.ts'
import type { ControlFile } from '../src/stores/control/form.ts'
import { controlFiles } from '../src/stores/control/table.ts'
import type { ManualPage } from '../src/stores/installation/layout.ts'
import { programMeanings } from '../src/stores/installation/qmail-programs.ts'

/** `epoch`: seconds since 1970, the date of the page. */
export function manualPage(page: ManualPage, epoch: number): string {
  const lines = { 'quaver.8': commandPage, 'quaver-control.5': controlPage, 'quaver-programs.7': programsPage }[page]()
  const [name = '', section = ''] = page.split('.')
  const date = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' }).format(epoch * 1000)
  return `${[`.Dd ${date}`, `.Dt ${name.toUpperCase()} ${section}`, '.Os Quaver', ...lines].join('\n')}\n`
}

function commandPage(): string[] {
  const program = quaver()
  return [
    '.Sh NAME',
    '.Nm quaver',
    '.Nd a mail server: qmail, rebuilt to be easy to run',
    '.Sh SYNOPSIS',
    '.Nm',
    '.Ar command',
    '.Op Ar option ...',
    '.Sh DESCRIPTION',
    '.Nm',
    ...text('starts and stops a Quaver, shows what it does and why, and changes what it is to do.'),
    ...text('One command acts on one home: the directory with control/, users/, alias/ and queue/. It is what'),
    '.Fl -home',
    ...text('says, else what QUAVER_HOME says, else .quaver in a clone, else /var/lib/quaver.'),
    '.Pp',
    ...text('Every command takes'),
    '.Fl -home Ar directory ,',
    '.Fl -json',
    ...text('for an answer that scripts can read, and'),
    '.Fl -help .',
    '.Sh COMMANDS',
    ...program.commands.flatMap((command) => commandSection(command, '')),
    '.Sh ENVIRONMENT',
    '.Bl -tag -width QUAVER_HOME',
    '.It Ev QUAVER_HOME',
    ...text('the home, where --home names none'),
    '.It Ev NO_COLOR',
    ...text('no colours, also on a terminal'),
    '.El',
    '.Sh EXIT STATUS',
    ...text(
      '0: done. 1: it could not be done, or what was looked at is not in order. 2: the command is wrong. 100: for good; 111: for now.',
    ),
    '.Sh EXAMPLES',
    '.Bl -tag -width Ds',
    ...examplesOf(program).flatMap(exampleItem),
    '.El',
    '.Sh SEE ALSO',
    '.Xr quaver-control 5 ,',
    '.Xr quaver-programs 7',
  ]
}

/** Of a group, each of its commands; `before` are the names in front. */
function commandSection(command: Command, before: string): string[] {
  const name = `${before}${command.name()}`
  if (command.commands.length > 0) return command.commands.flatMap((one) => commandSection(one, `${name} `))
  const own = command.options.filter(({ long }) => long !== '--home' && long !== '--json' && long !== '--help')
  const shown = examplesOf(command)
  return [
    `.Ss ${escaped(name)}`,
    `.Ic ${escaped(name)}`,
    ...own.map((option) => (option.mandatory ? flags(option) : `.Op ${flags(option).slice(1)}`)),
    ...command.registeredArguments.map(argumentMacro),
    '.Pp',
    ...text(command.description()),
    ...(own.length + command.registeredArguments.length === 0 ? [] : ['.Bl -tag -width Ds']),
    ...command.registeredArguments.flatMap((argument) =>
      argument.description === '' ? [] : [`.It Ar ${escaped(argument.name())}`, ...text(argument.description)],
    ),
    ...own.flatMap((option) => [`.It ${flags(option).slice(1)}`, ...text(optionMeaning(option))]),
    ...(own.length + command.registeredArguments.length === 0 ? [] : ['.El']),
    ...(shown.length === 0 ? [] : ['.Pp', 'Examples:', '.Bl -tag -width Ds', ...shown.flatMap(exampleItem), '.El']),
  ]
}

function flags({ long, flags: written }: Option): string {
  const value = /[<[]([^>\]]+)[>\]]/.exec(written)?.[1]
  return `.Fl ${escaped((long ?? written).slice(1))}${value === undefined ? '' : ` Ar ${escaped(value)}`}`
}

function optionMeaning({ description, defaultValue }: Option): string {
  const isSaid = defaultValue === undefined || defaultValue === true || defaultValue === false
  return isSaid ? description : `${description} (default: ${String(defaultValue)})`
}

function argumentMacro(argument: Argument): string {
  const name = `Ar ${escaped(argument.name())}${argument.variadic ? ' ...' : ''}`
  return argument.required ? `.${name}` : `.Op ${name}`
}

function exampleItem([line, meaning]: readonly [string, string]): string[] {
  return [`.It Li ${quoted(line)}`, ...(meaning === '' ? [] : text(meaning))]
}

function controlPage(): string[] {
  const rows = Object.entries(controlFiles) as [string, ControlFile][]
  return [
    '.Sh NAME',
    '.Nm quaver-control',
    '.Nd the control files of Quaver',
    '.Sh DESCRIPTION',
    ...text(
      'Each file of control/ in a home says one thing. A line is the first line of its file, a number its digits with a unit',
    ),
    ...text(
      '(50M, 7d), a list every line, a map lines of key:value. Lines that begin with # say nothing. A file that is not there has',
    ),
    ...text('its default; a wrong one is named in the log, and what was in force stays in force.'),
    '.Pp',
    ...text("'quaver control show' prints what is in force, 'quaver control check' what is wrong."),
    '.Sh FILES',
    '.Bl -tag -width Ds',
    ...rows
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([name, row]) => [`.It Pa control/${escaped(name)}`, ...text(`${row.meaning}.`), ...text(formOf(row))]),
    '.El',
    '.Sh SEE ALSO',
    '.Xr quaver 8',
  ]
}

function formOf({ form, unit, fallback, readBy, reread, secret }: ControlFile): string {
  const kind = `A ${form}${unit === undefined ? '' : ` of ${unit}`}`
  const absent =
    fallback === undefined || fallback === '' ? '' : `; default ${fallback === 'me' ? 'control/me' : fallback}`
  const when = { live: 'when it has changed', reload: 'at a reload', start: 'at the start' }[reread]
  return `${kind}${absent}. Read by ${readBy.join(', ')}, ${when}.${secret === true ? ' A secret: mode 0600.' : ''}`
}

function programsPage(): string[] {
  return [
    '.Sh NAME',
    '.Nm quaver-programs',
    ".Nd qmail's programs as Quaver has them",
    '.Sh DESCRIPTION',
    ...text(
      'Under their own names, with the arguments, variables, words and exit codes that they have in qmail: 100 for good, 111 for now.',
    ),
    ...text(
      'They are in HOME/bin, which is first on the PATH of .qmail programs, and in lib/quaver/bin of an installation.',
    ),
    '.Bl -tag -width Ds',
    ...Object.entries(programMeanings).flatMap(([name, meaning]) => [`.It Nm ${escaped(name)}`, ...text(meaning)]),
    '.El',
    '.Sh SEE ALSO',
    '.Xr quaver 8',
  ]
}

/** Text, a sentence a line; no word of it is a macro. */
function text(words: string): string[] {
  return escaped(words.trim())
    .split(/(?<=[.!?])\s+(?=\S)/)
    .filter((line) => line !== '')
    .map((line) => (/^[.']/.test(line) ? `\\&${line}` : line))
}

function escaped(words: string): string {
  return words.replaceAll('\\', '\\e').replaceAll('’', '\\(cq')
}

/** One argument of a macro. */
function quoted(words: string): string {
  return `"${escaped(words).replaceAll('"', '""')}"`
}
