/** Quaver as a package installs it, for a run of the tests: its programs start faster than from their sources.
 *  Fails:  throws what the bundler says. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { stage } from '../packaging/stage.ts'

/** What kit/programs.ts wants to know. Programs of other accounts read it, too.
 *  @param directory is made enterable for all */
export async function buildTree(root: string, directory: string): Promise<string> {
  const destination = join(directory, 'tree')
  chmodSync(directory, 0o755)
  mkdirSync(destination)
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x64'
  await stage({ root, destination, prefix: '/', architecture, epoch: 0, onProgress: () => undefined })
  return join(destination, 'lib/quaver')
}
