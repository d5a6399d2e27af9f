/** `quaver check`: says nothing where every file of the installation and of the home is as it was made. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { homeAt } from '../../stores/home/layout.ts'
import { type GlobalOptions, homeIn, isHomeNamed, locateHome } from './context.ts'
import { exitCode } from './exit.ts'
import { homeFaults, treeFaults } from './machine/rights.ts'
import { harmless, print, printJson } from './output.ts'

export async function check(options: GlobalOptions): Promise<void> {
  const found = locateHome(options)
  const home = homeAt(found.path)
  // A demo's home is not checked: its owner may change it freely.
  const faults = [
    ...(await treeFaults()),
    ...(found.exists && !existsSync(join(home.path, 'demo-password')) ? await homeFaults(home) : []),
  ]
  if (faults.length > 0) process.exitCode = exitCode.failed
  if (options.json === true) printJson(faults.map(({ path, fault, remedy }) => ({ path, fault, remedy })))
  else for (const { path, fault, remedy } of faults) print(harmless(`${path} ${fault}: ${remedy}`))
  // Only a home that was named must exist.
  if (isHomeNamed(options)) homeIn(found)
}
