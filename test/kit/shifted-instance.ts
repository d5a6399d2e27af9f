/** A whole Quaver whose clock can be set while it runs, in all of its processes at once: each is run by a script that
 *  preloads shifted-clock.ts, because programs pass on no NODE_OPTIONS.
 *  Never:  changes the clock of the machine: what the file system and certificates say is of the right time. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Instance, type Setup } from './instance.ts'
import { programArguments } from './programs.ts'

export class ShiftedInstance {
  readonly instance: Instance
  private readonly directory: string

  private constructor(instance: Instance, directory: string) {
    this.instance = instance
    this.directory = directory
  }

  /** With the right time. */
  static async start(setup: Setup): Promise<ShiftedInstance> {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-clock-'))
    try {
      setClock(directory, 0)
      const node = script(
        directory,
        'node',
        `export SHIFTED_CLOCK='${clockFile(directory)}' SHIFTED_NODE="$0"
exec '${process.execPath}' --disable-warning=ExperimentalWarning '--import=${import.meta.resolve('./shifted-clock.ts')}' "$@"`,
      )
      const start = programArguments('start').map((argument) => `'${argument}'`)
      const launcher = script(directory, 'quaver', `shift\nexec '${node}' ${start.join(' ')} "$@"`)
      return new ShiftedInstance(await Instance.start({ ...setup, launcher }), directory)
    } catch (error) {
      rmSync(directory, { recursive: true })
      throw error
    }
  }

  /** `milliseconds` ahead of the right time, or behind it. */
  set(milliseconds: number): void {
    setClock(this.directory, milliseconds)
  }

  async end(): Promise<void> {
    await this.instance.end()
    rmSync(this.directory, { recursive: true })
  }
}

function clockFile(directory: string): string {
  return join(directory, 'shift')
}

function setClock(directory: string, milliseconds: number): void {
  writeFileSync(clockFile(directory), String(milliseconds))
}

function script(directory: string, name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}
