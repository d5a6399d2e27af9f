/** How a system decides which of several programs has a name: groups of alternatives (Debian, Red Hat), and files of packages
 *  set aside in a way that the packages know of (dpkg-divert). Each by the machine's own program.
 *  Fails:  throws AlternativeError with that program's words. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

export class AlternativeError extends Error {
  override name = 'AlternativeError'
}

/** A name, and the program that it stands for. */
export interface Alternative {
  readonly link: string
  readonly name: string
  readonly target: string
}

const millisecondsMax = 60_000
const directories: readonly string[] = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
const environment = { PATH: directories.join(':'), LC_ALL: 'C' }
/** Below the priorities of packages: the entry is never chosen by priority. */
const priority = 5

/** Installs the alternative with the names that go with it, and selects it. */
export async function chooseAlternative(first: Alternative, others: readonly Alternative[]): Promise<void> {
  const slaves = others.flatMap(({ link, name, target }) => ['--slave', link, name, target])
  await call('update-alternatives', ['--install', first.link, first.name, first.target, String(priority), ...slaves])
  await call('update-alternatives', ['--set', first.name, first.target])
}

/** The group then selects another by itself. */
export async function dropAlternative(name: string, target: string): Promise<void> {
  await call('update-alternatives', ['--remove', name, target])
}

export function canDivert(): boolean {
  return has('dpkg-divert')
}

/** Whatever a package puts there is `aside` from now on. */
export async function divert(path: string, aside: string): Promise<void> {
  await call('dpkg-divert', ['--quiet', '--local', '--rename', '--divert', aside, '--add', path])
}

export async function endDiversion(path: string, aside: string): Promise<void> {
  await call('dpkg-divert', ['--quiet', '--local', '--rename', '--divert', aside, '--remove', path])
}

function has(program: string): boolean {
  return directories.some((directory) => existsSync(`${directory}/${program}`))
}

async function call(program: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout: millisecondsMax, env: environment, cwd: '/' })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new AlternativeError(`${program} ${args.join(' ')}: ${said || String(error)}`, { cause: error })
  }
}
