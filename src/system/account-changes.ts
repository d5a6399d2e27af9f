/** Makes and removes accounts of the machine, by the machine's own programs: useradd (Linux, NetBSD, OpenBSD), adduser of
 *  busybox, pw (FreeBSD). Each account is a system one: no password, no shell, a group of its own.
 *  Fails:  throws MachineProgramError with the program's words. */
import { existsSync } from 'node:fs'
import { callMachineProgram, hasMachineProgram, MachineProgramError } from './machine-program.ts'

/** `home` is not made. */
export async function makeAccount(name: string, home: string): Promise<void> {
  const shell = existsSync('/usr/sbin/nologin') ? '/usr/sbin/nologin' : '/sbin/nologin'
  const [program, ...args] = makingCall(name, home, shell)
  if (program === undefined)
    throw new MachineProgramError(`no useradd, adduser or pw on this machine: make the account ${name} by hand`)
  await callMachineProgram(program, args)
}

export async function removeAccount(name: string): Promise<void> {
  if (hasMachineProgram('userdel')) return await callMachineProgram('userdel', [name])
  if (hasMachineProgram('pw')) return await callMachineProgram('pw', ['userdel', name])
  if (hasMachineProgram('deluser')) return await callMachineProgram('deluser', [name])
  throw new MachineProgramError(`no userdel, deluser or pw on this machine: remove the account ${name} by hand`)
}

function makingCall(name: string, home: string, shell: string): string[] {
  if (hasMachineProgram('useradd'))
    return process.platform === 'linux'
      ? ['useradd', '--system', '--user-group', '--no-create-home', '--home-dir', home, '--shell', shell, name]
      : ['useradd', '-g', '=uid', '-d', home, '-s', shell, name]
  if (hasMachineProgram('pw')) return ['pw', 'useradd', name, '-d', home, '-s', shell, '-w', 'no']
  if (hasMachineProgram('adduser')) return ['adduser', '-S', '-D', '-H', '-h', home, '-s', shell, name]
  return []
}
