/** `quaver backup TARGET`: one file with everything of a home that cannot be made again, while it runs. The queue's process
 *  copies the queue; all else is read here, with its owner's rights.
 *  Fails:  there is a whole file, or none. What a user's directory did not let be read is told, and the exit code is 1. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import { type BackupFacts, writeBackup } from '../../../stores/backup/archive.ts'
import { partsOf } from '../../../stores/backup/parts.ts'
import { Control } from '../../../stores/control/control.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { realClock } from '../../../system/clock.ts'
import { type GlobalOptions, requireHome } from '../context.ts'
import { CommandError, exitCode } from '../exit.ts'
import { harmless, print, printJson, styled } from '../output.ts'
import { progress } from '../progress.ts'
import { withQueueCopy } from '../queue-copy.ts'
import { asCommandError } from '../setup/known-errors.ts'
import { version } from '../version.ts'

export interface BackupOptions extends GlobalOptions {
  readonly mail?: true
}

export async function backup(target: string, options: BackupOptions): Promise<void> {
  process.umask(0o077)
  const home = requireHome(options)
  refuseStranger(home)
  const path = fileFor(home, resolve(target))
  const left: string[] = []
  try {
    await withQueueCopy(home, options.json === true, async (copy) => {
      let messages = 0
      const queueCopy = async (): Promise<string> => {
        const copied = await copy()
        messages = copied.messages
        return copied.directory
      }
      const facts = await write(home, path, queueCopy, options, (text) => left.push(text))
      report({ home: home.path, file: path, messages, mail: options.mail === true, left, ...facts }, options)
    })
  } catch (error) {
    throw asCommandError(error)
  }
}

/** Others would make a backup without what they may not read. */
function refuseStranger(home: Home): void {
  const caller = process.getuid?.() ?? 0
  if (caller !== 0 && caller !== statSync(home.path).uid)
    throw new CommandError(`${home.path} has parts that you may not read: ask as root`)
}

function fileFor(home: Home, target: string): string {
  const facts = statSync(target, { throwIfNoEntry: false })
  if (facts === undefined) {
    if (!existsSync(dirname(target))) throw new CommandError(`${dirname(target)} is not there: make it first`)
    return target
  }
  if (!facts.isDirectory())
    throw new CommandError(`${target} is there already: give another name, or a directory`, exitCode.usage)
  const host = toText(new Control(home.control, realClock).optionalLine('me') ?? '').replace(/[^A-Za-z0-9.-]/g, '')
  const time = new Date(realClock.now()).toISOString().replace(/[-:]|\.\d+/g, '')
  return join(target, `quaver-${host || 'home'}-${time}.tar.gz`)
}

async function write(
  home: Home,
  path: string,
  queueCopy: () => Promise<string>,
  options: BackupOptions,
  left: (text: string) => void,
): Promise<BackupFacts> {
  const head = {
    format: 1,
    version,
    madeMs: realClock.now(),
    home: home.path,
    mail: options.mail === true,
  } as const
  const show = progress('writing files', undefined, options.json === true)
  const parts = partsOf({ home, queueCopy, mail: head.mail, left })
  async function* shown(): typeof parts {
    let count = 0
    for await (const part of parts) {
      yield part
      show.done(++count)
    }
  }
  // Who has had enough of it finds nothing half written.
  const cut = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => cut.abort(new Error(name)))
  try {
    return await writeBackup(path, head, shown(), cut.signal)
  } catch (error) {
    throw new CommandError(`${describeError(error)}: there is no backup`)
  } finally {
    show.end()
  }
}

interface Report extends BackupFacts {
  readonly home: string
  readonly file: string
  readonly messages: number
  readonly mail: boolean
  readonly left: readonly string[]
}

function report(facts: Report, options: BackupOptions): void {
  if (facts.left.length > 0) process.exitCode = exitCode.failed
  if (options.json === true) return printJson(facts)
  const { file, bytes, entries, messages, mail, left } = facts
  for (const text of left) print(`${styled('yellow', 'left out')}  ${harmless(text)}`)
  const holds = `${messages === 1 ? '1 message' : `${messages} messages`} of the queue, ${mail ? 'with' : 'without'} mail in mailboxes`
  print(`${styled('green', 'written')}   ${file}: ${sizeOf(bytes)}, ${entries} entries, ${holds}`)
}

function sizeOf(bytes: number): string {
  return bytes < 10 * 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${Math.ceil(bytes / 1024 / 1024)} MiB`
}
