/** Names, arguments, options, help and examples of the commands about the machine: services at boot, set-up, its checks, and
 *  the way back. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addInstallation(program: Command): void {
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
