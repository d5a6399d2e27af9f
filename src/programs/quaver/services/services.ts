/** `quaver services list`, `show`, `install` and `remove`. */
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { realpathSync, statSync, existsSync } from 'node:fs'
import type { Home } from '../../../stores/home/layout.ts'
import { type Making, MadeThings } from '../../../stores/installation/made.ts'
import { cloneRoot, type GlobalOptions, locateHome, requireHome } from '../context.ts'
import { homeAt } from '../../../stores/home/layout.ts'
import { CommandError, exitCode } from '../exit.ts'
import { print, printJson, styled, table } from '../output.ts'
import type { BootService, ServiceFile } from './description.ts'
import { type InitSystem, initSystemNames, type InitSystemName, initSystems, nextSteps } from './systems.ts'

const forgetMillisecondsMax = 30_000

/** The launcher of this tree, which every service file names. */
export const launcherPath: string = resolve(cloneRoot() ?? join(import.meta.dirname, '../../..'), 'bin/quaver')

export function bootService(home: Home): BootService {
  const real = (path: string): string => (existsSync(path) ? realpathSync(path) : path)
  const places = [home.control, home.users, home.tls, home.alias].map(real)
  const outside = places.filter((path) => !path.startsWith(`${real(home.path)}/`) && !path.startsWith(`${home.path}/`))
  const configuration = [...new Set(outside.map((path) => join(path, '..')))]
  return { launcher: launcherPath, home: home.path, configuration }
}

export async function list(options: GlobalOptions): Promise<void> {
  const home = homeAt(locateHome(options).path)
  const service = bootService(home)
  const rows = initSystemNames.map((name) => {
    const { title, isHere, files }: InitSystem = initSystems[name]
    const paths = files(service).map(({ path }) => path)
    return { name, title, here: isHere(), installed: paths.every((path) => existsSync(path)), files: paths }
  })
  if (options.json === true) return printJson(rows)
  print(
    table(
      rows.map(({ name, title, here, installed, files }) => [
        name,
        title,
        here ? styled('green', 'runs this machine') : '',
        installed ? 'installed' : '',
        files[0] ?? '',
      ]),
    ),
  )
}

export function show(name: string, options: GlobalOptions): void {
  const files = initSystems[systemNamed(name)].files(bootService(homeAt(locateHome(options).path)))
  if (options.json === true) return printJson(files)
  const [only] = files
  if (files.length === 1 && only !== undefined) return void process.stdout.write(only.text)
  print(files.map(({ path, mode, text }) => `==> ${path} (mode ${mode.toString(8)})\n${text}`).join('\n'))
}

export async function install(name: string, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const system = systemNamed(name)
  const made = await MadeThings.read(home.path)
  const done = await installService(made, home, system)
  const kept = done.filter(({ making }) => making === 'kept')
  if (options.json === true) printJson({ system, files: done, next: nextSteps(system) })
  else {
    for (const { path, making } of done) print(`${path}  ${words[making]}`)
    print('nothing is enabled or started by that:')
    for (const line of nextSteps(system)) print(`  ${line}`)
  }
  if (kept.length > 0)
    throw new CommandError(
      `${kept.map(({ path }) => path).join(', ')}: not as Quaver would write it, and left alone; compare: quaver services show ${system}`,
    )
}

const words: Readonly<Record<Making, string>> = {
  made: 'made',
  changed: 'brought up to date',
  there: 'is there already',
  kept: 'was edited, and stays',
}

export async function installService(
  made: MadeThings,
  home: Home,
  name: InitSystemName,
): Promise<{ readonly path: string; readonly making: Making }[]> {
  const done: { path: string; making: Making }[] = []
  for (const { path, text, mode } of initSystems[name].files(bootService(home)))
    done.push({ path, making: await made.file(path, text, mode) })
  return done
}

export async function remove(name: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const made = await MadeThings.read(home.path)
  const systems = name === undefined ? initSystemNames : [systemNamed(name)]
  const gone: string[] = []
  const kept: string[] = []
  for (const system of systems) {
    const enabled = enabledBy(system)
    const ours = serviceFiles(home, system).filter(({ path }) => made.find(path) !== undefined)
    if (ours.length > 0 && enabled !== undefined)
      throw new CommandError(`${enabled} still starts it: ${initSystems[system].disable}`)
    const done = await removeService(made, home, system)
    gone.push(...done.gone)
    kept.push(...done.kept)
  }
  if (options.json === true) printJson({ removed: gone, kept })
  else {
    for (const path of gone) print(`${path}  is gone`)
    if (gone.length === 0 && kept.length === 0) print('no service files of ours are installed')
  }
  if (kept.length > 0) throw new CommandError(kept.join('\n'), exitCode.failed)
}

/** With the directories that were made for them. */
export async function removeService(
  made: MadeThings,
  home: Home,
  name: InitSystemName,
): Promise<{ readonly gone: string[]; readonly kept: string[] }> {
  const gone: string[] = []
  const kept: string[] = []
  const files = serviceFiles(home, name)
  for (const { path } of files) {
    const known = made.find(path)
    if (known === undefined) continue
    const why = await made.remove(known)
    if (why === undefined) gone.push(path)
    else kept.push(`${path} ${why}, and stays`)
  }
  for (const one of made.toRemove())
    if (one.kind === 'directory' && files.some(({ path }) => path.startsWith(`${one.path}/`))) await made.remove(one)
  if (gone.length > 0) await letForget(initSystems[name])
  return { gone, kept }
}

/** If this fails, the init system forgets at the next boot; the files are removed anyway. */
async function letForget({ forget, isHere }: InitSystem): Promise<void> {
  if (forget === undefined || !isHere()) return
  await promisify(execFile)('/bin/sh', ['-c', forget], { timeout: forgetMillisecondsMax, cwd: '/' }).catch(
    () => undefined,
  )
}

function serviceFiles(home: Home, name: InitSystemName): readonly ServiceFile[] {
  return initSystems[name].files(bootService(home))
}

/** The link or file by which an init system starts it at boot; undefined if none is seen. */
export function enabledBy(name: InitSystemName): string | undefined {
  const places: Readonly<Partial<Record<InitSystemName, readonly string[]>>> = {
    systemd: ['/etc/systemd/system/multi-user.target.wants/quaver.service'],
    openrc: ['/etc/runlevels/default/quaver'],
    runit: ['/etc/service/quaver', '/etc/runit/runsvdir/default/quaver'],
    s6: ['/run/service/quaver'],
    daemontools: ['/service/quaver', '/etc/service/quaver'],
    sysv: ['/etc/rc2.d/S01quaver', '/etc/rc3.d/S70quaver'],
  }
  return places[name]?.find((path) => statSync(path, { throwIfNoEntry: false }) !== undefined)
}

export function systemNamed(name: string): InitSystemName {
  const found = initSystemNames.find((one) => one === name)
  if (found !== undefined) return found
  throw new CommandError(`'${name}' is no init system: there are ${initSystemNames.join(', ')}`, exitCode.usage)
}
