/** `quaver start --background`: for init systems without a supervisor of their own. Waits until everything serves, and exits
 *  with 0 only then; on failure the output so far goes to standard error.
 *  Fails:  CommandError with what `start` said. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { describeError } from '../../base/outcome.ts'
import { realClock, within } from '../../system/clock.ts'
import { CommandError, exitCode } from './exit.ts'

/** `start` says that it is ready after a minute at the latest. */
const readyMillisecondsMax = 120_000
const saidBytesMax: number = 64 * 1024

/** `args`: the runtime and what follows it. What goes to standard error later is in HOME/start.err. */
export async function startInBackground(
  args: readonly string[],
  home: string,
  pidFile: string | undefined,
): Promise<void> {
  const [file = process.execPath, ...rest] = args
  const log = rest.includes('--log') ? [] : ['--log', 'syslog']
  const said = openSync(join(home, 'start.err'), 'w+', 0o600)
  const child = spawn(file, [...rest, ...log, '--ready-fd', '3'], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'ignore', said, 'pipe'],
  })
  const ready = child.stdio[3] as Readable
  try {
    await within(realClock, readyMillisecondsMax, 'quaver start', Promise.race([once(ready, 'data'), endOf(child)]))
    if (child.exitCode !== null || child.signalCode !== null)
      throw new CommandError(textOf(said) || 'start ended without a word', child.exitCode ?? exitCode.temporary)
    if (pidFile !== undefined) writeFileSync(pidFile, `${child.pid}\n`)
  } catch (error) {
    child.kill('SIGTERM')
    throw error instanceof CommandError ? error : new CommandError(describeError(error), exitCode.temporary)
  } finally {
    ready.destroy()
    child.unref()
    closeSync(said)
  }
}

function endOf(child: ReturnType<typeof spawn>): Promise<unknown> {
  return once(child, 'exit')
}

/** Without the name of the program in front: the caller puts its own. */
function textOf(fd: number): string {
  const bytes = Buffer.alloc(Math.min(fstatSync(fd).size, saidBytesMax))
  readSync(fd, bytes, 0, bytes.length, 0)
  return bytes
    .toString('utf8')
    .split('\n')
    .map((line) => line.replace(/^quaver start: /, ''))
    .join('\n')
    .trim()
}
