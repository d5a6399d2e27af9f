/** The rules of the house can fail: each is broken once in a temporary tree that has the house's own configuration, and
 *  the linter must name that rule for that file. One clean file a room proves that the rules do not refuse everything. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'

const root = join(import.meta.dirname, '../..')
const linterMillisecondsMax = 60_000

const targets: Readonly<Record<string, string>> = {
  'src/base/thing.ts': 'export const thing = 1\n',
  'src/protocols/x/thing.ts': 'export const thing = 1\n',
  'src/contracts/thing.ts': 'export const thing = 1\n',
  'src/system/thing.ts': 'export const thing = 1\n',
  'src/stores/x/thing.ts': 'export const thing = 1\n',
  'src/clients/x/thing.ts': 'export const thing = 1\n',
  'src/servers/x/thing.ts': 'export const thing = 1\n',
  'src/programs/other/thing.ts': 'export const thing = 1\n',
  'src/programs/other/part/thing.ts': 'export const thing = 1\n',
  'test/kit/thing.ts': 'export const thing = 1\n',
}

/** A file that breaks one rule: where it stands, what it says, which rule must name it. */
interface Breach {
  readonly file: string
  readonly code: string
  readonly rule: string
}

const importsFrom = (from: string): string => `import { thing } from '${from}'\nexport const copy = thing\n`
const forbidden = (file: string, from: string): Breach => ({
  file,
  code: importsFrom(from),
  rule: 'no-restricted-imports',
})
const coded = (rule: string, code: string, file = `src/programs/here/${rule}.ts`): Breach => ({ file, code, rule })

const breaches: readonly Breach[] = [
  forbidden('src/base/to-system.ts', '../system/thing.ts'),
  forbidden('src/base/to-node.ts', 'node:fs'),
  forbidden('src/base/to-package.ts', 'commander'),
  forbidden('src/protocols/x/to-node.ts', 'node:fs'),
  forbidden('src/protocols/x/to-contracts.ts', '../../contracts/thing.ts'),
  forbidden('src/protocols/x/to-system.ts', '../../system/thing.ts'),
  forbidden('src/protocols/x/to-stores.ts', '../../stores/x/thing.ts'),
  forbidden('src/protocols/x/to-clients.ts', '../../clients/x/thing.ts'),
  forbidden('src/protocols/x/to-programs.ts', '../../programs/other/thing.ts'),
  forbidden('src/contracts/to-node.ts', 'node:net'),
  forbidden('src/contracts/to-protocols.ts', '../protocols/x/thing.ts'),
  forbidden('src/contracts/to-system.ts', '../system/thing.ts'),
  forbidden('src/system/to-protocols.ts', '../protocols/x/thing.ts'),
  forbidden('src/system/to-stores.ts', '../stores/x/thing.ts'),
  forbidden('src/system/to-clients.ts', '../clients/x/thing.ts'),
  forbidden('src/system/to-programs.ts', '../programs/other/thing.ts'),
  forbidden('src/stores/x/to-clients.ts', '../../clients/x/thing.ts'),
  forbidden('src/stores/x/to-programs.ts', '../../programs/other/thing.ts'),
  forbidden('src/clients/x/to-stores.ts', '../../stores/x/thing.ts'),
  forbidden('src/clients/x/to-programs.ts', '../../programs/other/thing.ts'),
  forbidden('src/stores/x/to-servers.ts', '../../servers/x/thing.ts'),
  forbidden('src/clients/x/to-servers.ts', '../../servers/x/thing.ts'),
  forbidden('src/system/to-servers.ts', '../servers/x/thing.ts'),
  forbidden('src/servers/x/to-programs.ts', '../../programs/other/thing.ts'),
  forbidden('src/programs/here/to-program.ts', '../other/thing.ts'),
  forbidden('src/programs/here/part/to-program.ts', '../../other/thing.ts'),
  forbidden('src/programs/here/to-test.ts', '#test/kit/thing.ts'),
  forbidden('src/stores/x/to-test.ts', '../../../test/kit/thing.ts'),
  coded('no-restricted-globals', 'export const id = process.pid\n', 'src/protocols/x/pid.ts'),
  coded('no-restricted-globals', 'export const due = setTimeout(() => undefined, 1)\n', 'src/contracts/timer.ts'),
  coded('no-restricted-properties', 'export const now = Date.now()\n', 'src/protocols/x/now.ts'),
  coded('no-restricted-properties', 'export const dice = Math.random()\n', 'src/protocols/x/dice.ts'),
  coded('no-floating-promises', 'export function go(): void {\n  Promise.resolve(1).then((n) => n + 1)\n}\n'),
  coded('no-misused-promises', 'export const loud = [1].filter(async (n) => n > (await Promise.resolve(0)))\n'),
  coded('no-explicit-any', 'export const loose = (value: any): string => String(value)\n'),
  coded('no-unsafe-assignment', 'export const parsed = { value: JSON.parse("1") }\n'),
  coded('no-non-null-assertion', 'export const first = (list: readonly string[]): string => list[0]!\n'),
  coded(
    'switch-exhaustiveness-check',
    "export function say(of: 'a' | 'b'): string {\n  switch (of) {\n    case 'a':\n      return 'a'\n  }\n  return ''\n}\n",
  ),
  coded('only-throw-error', "export function fall(): never {\n  throw 'text'\n}\n"),
  coded('no-default-export', 'export default 1\n'),
  coded('no-eval', "export const two: unknown = eval('1 + 1')\n"),
  coded('eqeqeq', 'export const same = (a: string, b: string): boolean => a == b\n'),
  coded('no-console', "console.log('text')\n"),
  coded(
    'no-cycle',
    "import { b } from './cycle-b.ts'\nexport const a = (): number => b\n",
    'src/programs/here/cycle-a.ts',
  ),
]

const clean: Readonly<Record<string, string>> = {
  'src/programs/here/cycle-b.ts': "import { a } from './cycle-a.ts'\nexport const b: number = a.length\n",
  'src/protocols/x/clean.ts': importsFrom('../../base/thing.ts'),
  'src/protocols/x/clean.test.ts': importsFrom('../../../test/kit/thing.ts'),
  'src/contracts/clean.ts': importsFrom('../base/thing.ts'),
  'src/system/clean.ts': importsFrom('../contracts/thing.ts'),
  'src/stores/x/clean.ts': importsFrom('../../protocols/x/thing.ts'),
  'src/clients/x/clean.ts': importsFrom('../../system/thing.ts'),
  'src/servers/x/clean.ts': importsFrom('../../stores/x/thing.ts'),
  'src/programs/here/clean.ts': importsFrom('../../stores/x/thing.ts'),
  'src/programs/here/part/clean.ts': importsFrom('../clean.ts')
    .replaceAll('thing', 'copy')
    .replace('const copy', 'const it'),
}

let tree = ''
const found = new Map<string, string[]>()

before(async () => {
  tree = await mkdtemp(join(tmpdir(), 'quaver-house-'))
  for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json'])
    await copyFile(join(root, name), join(tree, name))
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'))
  const files = [
    ...Object.entries(targets),
    ...Object.entries(clean),
    ...breaches.map(({ file, code }) => [file, code] as const),
  ]
  for (const [file, code] of files) {
    await mkdir(join(tree, dirname(file)), { recursive: true })
    await writeFile(join(tree, file), code)
  }
  for (const { file, rule } of await lint(tree)) found.set(file, [...(found.get(file) ?? []), rule])
})

after(() => rm(tree, { recursive: true, force: true }))

describe('house rules', () => {
  for (const { file, rule } of breaches) {
    it(`${rule}: ${file}`, () => {
      assert.ok(found.get(file)?.includes(rule), `the linter said ${JSON.stringify(found.get(file) ?? [])}`)
    })
  }
  for (const file of [...Object.keys(targets), ...Object.keys(clean)].filter((name) => !name.includes('cycle'))) {
    it(`allowed: ${file}`, () => assert.deepEqual(found.get(file) ?? [], []))
  }
})

/** Every finding as file and bare rule name. */
async function lint(directory: string): Promise<{ file: string; rule: string }[]> {
  const output = await new Promise<string>((resolve) => {
    const linter = join(root, 'node_modules/.bin/oxlint')
    const options = { cwd: directory, timeout: linterMillisecondsMax, maxBuffer: 16 * 1024 * 1024 }
    // The exit code is 1 because there are findings; a linter that did not run leaves no JSON, which fails below.
    execFile(linter, ['--type-aware', '--format=json'], options, (_, stdout) => resolve(stdout))
  })
  const { diagnostics } = JSON.parse(output) as { diagnostics: { code: string; filename: string }[] }
  return diagnostics.map(({ code, filename }) => ({ file: filename, rule: /\(([^)]*)\)/.exec(code)?.[1] ?? code }))
}
