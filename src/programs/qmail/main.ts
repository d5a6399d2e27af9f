/** qmail's programs, each under its own name: `bin/quaver` passes the name it was called by as the first argument. Runs as the
 *  caller; loads only the named program. */
import { basename } from 'node:path'
import { toText } from '../../base/byte-string.ts'
import { Fatal } from './call.ts'
import { namesHome, programs } from './names.ts'
import { argumentBytes, processCall, write } from './process-call.ts'

void main(process.argv.slice(2))

/** Exits at once: all is written, and closing sockets and streams would cost as much as the work. */
async function main([path = '', ...words]: readonly string[]): Promise<never> {
  try {
    process.exit(await run(path, words))
  } catch (error) {
    if (!(error instanceof Fatal)) throw error
    write(2, `${error.text}\n`)
    process.exit(error.code)
  }
}

async function run(path: string, words: readonly string[]): Promise<number> {
  const name = basename(path)
  const load = programs.get(name)
  if (load === undefined)
    throw new Fatal(100, `quaver: there is no program ${name}; 'quaver --help' shows what there is`)
  const args = argumentBytes(words)
  const home = namesHome.has(name) && args[0] === '--home' ? toText(args[1] ?? '') : undefined
  if (home === '') throw new Fatal(100, `${name}: fatal: --home names no directory`)
  const program = await load()
  return await program(processCall(path, home === undefined ? args : args.slice(2), home))
}
