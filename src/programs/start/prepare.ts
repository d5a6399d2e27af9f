/** What must be true before the first program is started: home, owners, sockets. Each fault is named with its remedy. */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { listenFile, type ListenerName } from '../../contracts/services.ts'
import { Control } from '../../stores/control/control.ts'
import { type Home, isSocketName, type SocketName, socketPath, sockets } from '../../stores/home/layout.ts'
import { hostAddresses, makeHostAliases, reportsAlias } from '../../stores/home/host-aliases.ts'
import { HomeError, makeHome, type Owner, type OwnerOf } from '../../stores/home/make.ts'
import { refuseQmailQueue } from '../../stores/home/qmail-queue.ts'
import { findOwners } from '../../stores/home/owners.ts'
import { BindError, type Bound, bindPath, bindTcp, type TcpAddress } from '../../system/bind.ts'
import type { Clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { needsTls, type Program, programFile } from './program.ts'

export interface Prepared {
  /** The account of each role. */
  readonly ownerOf: OwnerOf
  /** What was made, for the log. */
  readonly made: readonly string[]
}

/** After checking that a system home can be run at all. */
export async function prepareSystemHome(home: Home, programs: readonly Program[], clock: Clock): Promise<Prepared> {
  if (process.getuid?.() !== 0)
    throw new HomeError(
      `only root can start a system home (each program gets an account of its own); for a trial as yourself: quaver start --demo --home ${home.path}`,
    )
  await refuseQmailQueue(home)
  const control = new Control(home.control, clock)
  if (control.optionalLine('me') === undefined)
    throw new HomeError(
      `${join(home.control, 'me')} is missing or empty: write this host's name there (mkdir -p ${home.control} && hostname -f > ${home.control}/me)`,
    )
  const needed = new Set(programs.map(({ role }) => role))
  if (programs.some(({ name }) => name === 'lspawn')) needed.add('alias')
  const ownerOf = await findOwners(needed, control.map('roles'))
  await makeHome(home.path, ownerOf)
  checkReachableByAll(home, programs)
  return { ownerOf, made: needed.has('alias') ? await madeAliases(home, ownerOf('alias')) : [] }
}

/** A failure here does not keep a host from starting: it only loses mail to root. */
async function madeAliases(home: Home, owner: Owner): Promise<string[]> {
  try {
    const names = await makeHostAliases(realFiles, home, owner)
    return names.map((name) => {
      const what = name === reportsAlias ? "is for 'quaver dmarc reports'" : `waits in ${home.alias}/Maildir`
      return `alias/.qmail-${name} made: mail for ${name} ${what}`
    })
  } catch (error) {
    return [`warning: mail for ${hostAddresses.join(', ')} may go nowhere: ${home.alias}: ${describeError(error)}`]
  }
}

export interface Listening {
  /** By name as in `Program.listens`; of a service's listener one for each address. */
  readonly bound: ReadonlyMap<string, readonly Bound[]>
  /** Listens on sockets that waited for a certificate. */
  listenWithTls(): void
  close(): void
}

/** All or none. */
export function bindAll(
  home: Home,
  programs: readonly Program[],
  addresses: ReadonlyMap<ListenerName, readonly TcpAddress[]>,
  ownerOf: OwnerOf,
): Listening {
  const bound = new Map<string, readonly Bound[]>()
  const close = (): void => {
    for (const one of [...bound.values()].flat()) one.close()
  }
  try {
    // Served by `start` itself.
    const own: SocketName[] = programs.some(({ name }) => name === 'acme') ? ['start', 'start-certificates'] : ['start']
    for (const name of [...own, ...programs.flatMap(({ listens }) => listens)]) {
      const ofName: Bound[] = []
      bound.set(name, ofName)
      if (isSocketName(name)) ofName.push(bindUnix(home, name, ownerOf))
      else for (const address of addresses.get(name) ?? []) ofName.push(bindListener(name, address))
    }
    const waiting = new Set<string>([...own, ...programs.filter(needsTls).flatMap(({ listens }) => listens)])
    for (const [name, ofName] of bound) if (!waiting.has(name)) for (const one of ofName) one.listen()
  } catch (error) {
    close()
    throw error
  }
  const listenWithTls = (): void => {
    for (const program of programs.filter(needsTls))
      for (const name of program.listens) for (const one of bound.get(name) ?? []) one.listen()
  }
  return { bound, close, listenWithTls }
}

function bindListener(name: ListenerName, address: TcpAddress): Bound {
  try {
    return bindTcp(address)
  } catch (error) {
    if (!(error instanceof BindError)) throw error
    const option = name === 'smtp' ? `--smtp-port ${address.port + 1}, or ` : ''
    throw new BindError(`${error.message}: ${option}other addresses in control/${listenFile(name)}`)
  }
}

function bindUnix(home: Home, name: SocketName, ownerOf: OwnerOf): Bound {
  const { owner, mode } = sockets[name]
  return bindPath(socketPath(home, name), mode, ownerOf?.(owner))
}

/** Programs that run as other accounts must be able to reach their own code and runtime, and the home. */
function checkReachableByAll(home: Home, programs: readonly Program[]): void {
  const files = [process.execPath, ...programs.map((program) => programFile(program))]
  for (const file of files) accessSync(file, constants.R_OK)
  for (const file of [...files, join(home.control, 'me')]) {
    for (let path = dirname(file); ; path = dirname(path)) {
      if ((statSync(path).mode & 0o001) === 0)
        throw new HomeError(
          `${path} may not be entered by other accounts, and they need ${file}: move what is in there (/opt/quaver, /var/lib/quaver), or chmod o+x ${path}`,
        )
      if (path === dirname(path)) break
    }
  }
}
