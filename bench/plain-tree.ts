/** The sources without their types, as a tree that runs: memory is judged on what a release would run, because a process
 *  that strips types itself keeps the parser for it in memory. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export interface PlainTree {
  readonly launcher: string
  release(): void
}

export function makePlainTree(root: string): PlainTree {
  const tree = mkdtempSync(join(tmpdir(), 'quaver-plain-'))
  for (const name of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue
    const plain = stripTypeScriptTypes(readFileSync(join(root, 'src', name), 'utf8'))
    const path = join(tree, 'src', name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, plain.replaceAll(/(from |import\()('[./][^']*)\.ts'/g, "$1$2.js'"))
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  cpSync(join(root, 'package.json'), join(tree, 'package.json'))
  const launcher = join(tree, 'bin/quaver')
  mkdirSync(dirname(launcher))
  writeFileSync(launcher, readFileSync(join(root, 'bin/quaver'), 'utf8').replaceAll('main.ts', 'main.js'), {
    mode: 0o755,
  })
  return { launcher, release: () => rmSync(tree, { recursive: true, force: true }) }
}
