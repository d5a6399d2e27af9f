/** How a system decides which of several programs has a name: groups of alternatives (Debian, Red Hat), and files of packages
 *  set aside in a way that the packages know of (dpkg-divert). Each by the machine's own program.
 *  Fails:  throws MachineProgramError with that program's words. */
import { callMachineProgram, hasMachineProgram } from './machine-program.ts'

/** A name, and the program that it stands for. */
export interface Alternative {
  readonly link: string
  readonly name: string
  readonly target: string
}

/** Below the priorities of packages: the entry is never chosen by priority. */
const priority = 5

/** Installs the alternative with the names that go with it, and selects it. */
export async function chooseAlternative(first: Alternative, others: readonly Alternative[]): Promise<void> {
  const slaves = others.flatMap(({ link, name, target }) => ['--slave', link, name, target])
  await callMachineProgram('update-alternatives', [
    '--install',
    first.link,
    first.name,
    first.target,
    String(priority),
    ...slaves,
  ])
  await callMachineProgram('update-alternatives', ['--set', first.name, first.target])
}

/** The group then selects another by itself. */
export async function dropAlternative(name: string, target: string): Promise<void> {
  await callMachineProgram('update-alternatives', ['--remove', name, target])
}

export function canDivert(): boolean {
  return hasMachineProgram('dpkg-divert')
}

/** Whatever a package puts there is `aside` from now on. */
export async function divert(path: string, aside: string): Promise<void> {
  await callMachineProgram('dpkg-divert', ['--quiet', '--local', '--rename', '--divert', aside, '--add', path])
}

export async function endDiversion(path: string, aside: string): Promise<void> {
  await callMachineProgram('dpkg-divert', ['--quiet', '--local', '--rename', '--divert', aside, '--remove', path])
}
