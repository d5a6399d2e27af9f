/** `quaver start`: finds the home and becomes the `start` program, in the same process. */
import { existsSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { extname, join, resolve } from 'node:path'
import { keepForNextProgram } from '../../system/libc.ts'
import { nodeFlags } from '../../system/node-flags.ts'
import { startInBackground } from './start-background.ts'
import { cloneRoot, type GlobalOptions, locateHome, refuseObstacle } from './context.ts'
import { CommandError, exitCode } from './exit.ts'

export interface StartOptions extends GlobalOptions {
  readonly demo?: true
  readonly services?: string
  readonly smtpPort?: string
  readonly verbose?: true
  readonly tour?: boolean
  readonly log?: string
  readonly readyFd?: string
  readonly background?: true
  readonly pidFile?: string
}

const startFile = join(import.meta.dirname, `../start/main${extname(import.meta.filename)}`)

export async function start(options: StartOptions): Promise<void> {
  if (options.demo === true && options.background === true)
    throw new CommandError('--background is for a system home; the demo stays in its terminal', exitCode.usage)
  if (options.pidFile !== undefined && options.background !== true)
    throw new CommandError('--pid-file goes with --background', exitCode.usage)
  const home = options.demo === true ? demoHome(options) : systemHome(options)
  const args = startArguments(home, options)
  if (options.background === true) return await startInBackground(args, home, options.pidFile)
  if (process.execve === undefined)
    throw new CommandError('this system cannot replace a process (execve)', exitCode.temporary)
  if (options.readyFd !== undefined && /^\d{1,4}$/.test(options.readyFd)) keepForNextProgram(Number(options.readyFd))
  // This process never exits: it becomes another.
  flushCompileCache()
  process.execve(process.execPath, args, process.env)
}

/** The runtime, and what follows it. */
export function startArguments(home: string, options: StartOptions): readonly string[] {
  return [
    process.execPath,
    ...nodeFlags,
    startFile,
    ...['--home', home],
    ...(options.demo === true ? ['--demo'] : []),
    ...(options.services === undefined ? [] : ['--services', options.services]),
    ...(options.smtpPort === undefined ? [] : ['--smtp-port', options.smtpPort]),
    ...(options.verbose === true ? ['--verbose'] : []),
    ...(options.tour === false ? ['--no-tour'] : []),
    ...(options.log === undefined ? [] : ['--log', options.log]),
    ...(options.readyFd === undefined ? [] : ['--ready-fd', options.readyFd]),
  ]
}

/** Never the system home: the demo makes accounts and opens no port to anybody. */
function demoHome(options: GlobalOptions): string {
  if (options.home?.trim() === '') throw new CommandError('--home names no directory', exitCode.usage)
  const named = options.home ?? process.env['QUAVER_HOME']
  if (named !== undefined && named !== '') return resolve(named)
  return join(cloneRoot() ?? process.cwd(), '.quaver')
}

function systemHome(options: GlobalOptions): string {
  const found = locateHome(options)
  refuseObstacle(found)
  if (!found.exists)
    throw new CommandError(
      `there is no home at ${found.path} (${found.because}). For a trial: quaver start --demo.\nFor a mail host, as root: mkdir -p ${found.path}/control && hostname -f > ${found.path}/control/me`,
    )
  if (existsSync(join(found.path, 'demo-password')))
    throw new CommandError(
      `${found.path} (${found.because}) is a demo's home: quaver start --demo --home ${found.path}`,
    )
  return found.path
}
