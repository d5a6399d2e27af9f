/** Gives processes of other accounts what root's have compiled (compile-cache.mjs): to read, never to write. Node keeps a
 *  directory for each uid and its files for their owner alone; here a link leads from another uid's to root's.
 *  Fails:  without a word; those processes run, and compile. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, symlinkSync } from 'node:fs'
import { getCompileCacheDir } from 'node:module'
import { basename, join } from 'node:path'
import { nodeFlags } from './node-flags.ts'

const compileMillisecondsMax = 30_000

/** Undefined where this process is not root's or keeps nothing. Ends in `-0`, the uid. */
function rootsDirectory(): string | undefined {
  const directory = process.getuid?.() === 0 ? getCompileCacheDir() : undefined
  return directory?.endsWith('-0') === true ? directory : undefined
}

/** Compiles these modules and what they import, as far as that is to be done, and makes all of it readable. */
export async function compileForOthers(modules: readonly string[]): Promise<void> {
  const directory = rootsDirectory()
  if (directory === undefined) return
  const child = spawn(process.execPath, [...nodeFlags, join(import.meta.dirname, 'compile-only.mjs'), ...modules], {
    cwd: '/',
    env: {},
    stdio: 'ignore',
    timeout: compileMillisecondsMax,
    killSignal: 'SIGKILL',
  })
  await once(child, 'close').catch(() => undefined)
  try {
    for (const name of readdirSync(directory)) if (isWhole(name)) chmodSync(join(directory, name), 0o644)
  } catch {
    // Not readable for others.
  }
}

/** Before a process of that uid is started. */
export function shareCompiled(uid: number): void {
  const directory = rootsDirectory()
  if (directory === undefined || uid === 0) return
  try {
    symlinkSync(basename(directory), `${directory.slice(0, -1)}${uid}`)
  } catch {
    // It exists, or cannot be made.
  }
}

/** A file that is still being written has a longer name. */
function isWhole(name: string): boolean {
  return /^[0-9a-f]{8}$/.test(name)
}
