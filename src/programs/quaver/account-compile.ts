/** `quaver account compile`: qmail-newu, for who edits users/assign by hand. */
import { compileAssign } from '../../stores/users/assign.ts'
import { lockDirectory } from '../../stores/home/directory-lock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { print, printJson } from './output.ts'
import { changing } from './site-change.ts'

export async function compile(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const unlock = await lockDirectory(home.users)
    try {
      const compiled = await compileAssign(home)
      if (!compiled.done) throw new CommandError(`${compiled.failure.logText}; users/cdb is as it was`)
      const { records } = compiled.value
      if (options.json === true) printJson({ records })
      else print(`${home.users}/assign counts now: records ${records}`)
    } finally {
      await unlock()
    }
  })
}
