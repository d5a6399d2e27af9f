/** The form that all subcommands share: --home, --json, --help with examples. */
import type { Command } from 'commander'

export function subcommand(parent: Command, name: string, description: string): Command {
  return common(parent.command(name).description(description).helpOption('--help', 'show this help'))
}

export function common(command: Command): Command {
  return command
    .option('--home <directory>', 'the home (default: QUAVER_HOME, .quaver of the clone, /var/lib/quaver)')
    .option('--json', 'answer in JSON')
}

export type Example = readonly [command: string, meaning: string]

const examplesByCommand = new WeakMap<Command, readonly Example[]>()

export function examples(command: Command, lines: readonly Example[]): void {
  examplesByCommand.set(command, lines)
  const shown = lines.map(([line, meaning]) => (meaning === '' ? `  ${line}` : `  ${line}\n      ${meaning}`))
  command.addHelpText('after', `\nExamples:\n${shown.join('\n')}`)
}

/** For the manual. */
export function examplesOf(command: Command): readonly Example[] {
  return examplesByCommand.get(command) ?? []
}
