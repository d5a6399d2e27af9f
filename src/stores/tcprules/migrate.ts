/** The rules of a qmail that was here before: tcp.smtp, tcp.ofmip, tcp.pop3 of /etc/qmail, else of /etc, become
 *  control/tcprules/{smtp,ofmip,pop3}. Each is copied once, and only if there is no new file yet; the old file stays, since a
 *  qmail may still read it. control/tcprules/.migrated names the copied ones.
 *  Fails:  throws as Node does; files already copied stay. */
import { rulesNames } from '../../contracts/services.ts'
import { join } from 'node:path'
import { fromBuffer } from '../../base/byte-string.ts'
import { type Files, realFiles, replaceFile } from '../../system/files.ts'
import type { Home } from '../home/layout.ts'
import { rulesBytesMax } from './compile.ts'
import { rulePaths, rulesDirectory } from './files.ts'

export const oldDirectories: readonly string[] = ['/etc/qmail', '/etc']

export interface Migrated {
  readonly from: string
  readonly to: string
}

export async function migrateRules(
  home: Pick<Home, 'control'>,
  directories: readonly string[] = oldDirectories,
  files: Files = realFiles,
): Promise<Migrated[]> {
  const markPath = join(rulesDirectory(home), '.migrated')
  const mark = await files.read(markPath, rulesBytesMax)
  const taken = new Set((mark === undefined ? '' : fromBuffer(mark)).split('\n').filter((line) => line !== ''))
  const migrated: Migrated[] = []
  for (const service of rulesNames) {
    const { source, name } = rulePaths(home, service)
    if ((await files.facts(source)) !== undefined) continue
    for (const directory of directories) {
      const from = join(directory, `tcp.${service}`)
      if (taken.has(from)) break
      const text = await files.read(from, rulesBytesMax)
      if (text === undefined) continue
      await files.makeDirectory(rulesDirectory(home), 0o755)
      await replaceFile(files, source, text, 0o644)
      taken.add(from)
      await replaceFile(files, markPath, Buffer.from([...taken].map((path) => `${path}\n`).join('')), 0o644)
      migrated.push({ from, to: name })
      break
    }
  }
  return migrated
}
