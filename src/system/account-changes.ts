/** Makes and removes accounts of the machine, by the machine's own programs: useradd (Linux, NetBSD, OpenBSD), adduser of
 *  busybox, pw (FreeBSD). Each account is a system one: no password, no shell, a group of its own.
 *  Fails:  throws AccountChangeError with the program's words. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

const millisecondsMax = 60_000
const directories: readonly string[] = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
const environment = { PATH: directories.join(':'), LC_ALL: 'C' }

export class AccountChangeError extends Error {
  override name = 'AccountChangeError'
}

/** `home` is not made. */
export async function makeAccount(name: string, home: string): Promise<void> {
  const shell = existsSync('/usr/sbin/nologin') ? '/usr/sbin/nologin' : '/sbin/nologin'
  const [program, ...args] = makingCall(name, home, shell)
  if (program === undefined)
    throw new AccountChangeError(`no useradd, adduser or pw on this machine: make the account ${name} by hand`)
  await call(program, args)
}

export async function removeAccount(name: string): Promise<void> {
  if (has('userdel')) return await call('userdel', [name])
  if (has('pw')) return await call('pw', ['userdel', name])
  if (has('deluser')) return await call('deluser', [name])
  throw new AccountChangeError(`no userdel, deluser or pw on this machine: remove the account ${name} by hand`)
}

function makingCall(name: string, home: string, shell: string): string[] {
  if (has('useradd'))
    return process.platform === 'linux'
      ? ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', home, '--shell', shell, name]
      : ['useradd', '-g', '=uid', '-d', home, '-s', shell, name]
  if (has('pw')) return ['pw', 'useradd', name, '-d', home, '-s', shell, '-w', 'no']
  if (has('adduser')) return ['adduser', '-S', '-D', '-H', '-h', home, '-s', shell, name]
  return []
}

function has(program: string): boolean {
  return directories.some((directory) => existsSync(`${directory}/${program}`))
}

async function call(program: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout: millisecondsMax, env: environment, cwd: '/' })
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    throw new AccountChangeError(`${program} ${args.join(' ')}: ${said || String(error)}`, { cause: error })
  }
}
