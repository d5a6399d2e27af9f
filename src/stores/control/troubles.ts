/** What is wrong with the control files that a program reads, as its troubles. */
import { join } from 'node:path'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'
import type { Control } from './control.ts'
import { controlFiles, type ControlName } from './table.ts'

export function controlTroubles(control: Control, program: string): Trouble[] {
  control.refresh()
  return control.problems().flatMap((text) => {
    const name = /^control\/([a-z0-9-]+):/.exec(text)?.[1] ?? ''
    if (!isControlName(name) || !(controlFiles[name].readBy as readonly string[]).includes(program)) return []
    return [{ kind: troubleIn(text)?.kind ?? 'unknown', where: join(control.directory, name), text }]
  })
}

function isControlName(name: string): name is ControlName {
  return Object.hasOwn(controlFiles, name)
}
