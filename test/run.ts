/** `npm test`: runs the test files in processes of their own, but small ones in groups (groups.ts); some processes at a
 *  time, those that take long first.
 *  Fails:  exits 1 if a test failed, 2 if it cannot be told what to run. */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { describeError } from '../src/base/outcome.ts'
import { nodeFlags } from '../src/system/node-flags.ts'
import { buildTree } from './built-tree.ts'
import { grouped } from './groups.ts'

const root = join(import.meta.dirname, '..')
const usage = `npm test                 everything
npm test -- WORD …       the test files whose path has one of the words, and those that import a file whose path has it,
                         directly or by way of others; what runs Quaver in processes of its own imports little of it
npm test -- --times      and at the end what each file took, slowest first
npm test -- --list       only names the files that would be run, in their order
npm test -- --name TEXT  only the tests whose name matches this regular expression
npm test -- --jobs N     so many files at a time (${jobsByDefault()} on this machine)
`
/** Of one file. Most tests have limits of their own. */
const fileMillisecondsMax = 300_000
/** With fewer files, to build the programs would cost more than it saves. */
const buildFrom = 10
/** Begun before all others, so that none of them is left at the end alone. */
const longest: readonly string[] = [
  'test/conformance/testssl.test.ts',
  'test/auth/authd.test.ts',
  'test/packaging/services.test.ts',
  'test/crash/kill.test.ts',
  'test/start/troubles.test.ts',
  'test/auth/guessing.test.ts',
  'test/acceptance/incoming.test.ts',
  'test/partition/hostile-users.test.ts',
  'test/auth/losses.test.ts',
  'test/acceptance/clock.test.ts',
  'test/blackbox/mail-programs.test.ts',
  'test/acceptance/logins.test.ts',
  'test/demo/system-home.test.ts',
  'test/blackbox/guards.test.ts',
  'test/blackbox/accounts.test.ts',
  'test/auth/spelling.test.ts',
  'test/conformance/server-tls.test.ts',
  'test/blackbox/dovecot.test.ts',
  'test/delivery/lspawn-local.test.ts',
  'test/packaging/install-sh.test.ts',
  'test/partition/people.test.ts',
  'test/demo/demo.test.ts',
  'test/blackbox/bytes.test.ts',
  'test/start/unread-controls.test.ts',
  'test/pop3/slow-reader.test.ts',
  'test/crash/power-cut.test.ts',
  'test/queue/queue.test.ts',
  'test/packaging/built-tree.test.ts',
  'test/blackbox/others-programs.test.ts',
  'test/blackbox/authentication.test.ts',
]

const imports = new Map<string, readonly string[]>()
const { values, positionals: words } = options()
if (values.help === true) {
  process.stdout.write(usage)
  process.exit()
}
const files = chosenFiles()
if (files.length === 0) {
  process.stderr.write(`npm test: no test file has or imports ${words.join(' or ')}\n`)
  process.exit(2)
}
if (values.list === true) {
  process.stdout.write(`${files.join('\n')}\n`)
  process.exit()
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
const directory = mkdtempSync(join(tmpdir(), 'quaver-tests-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const processes = grouped(files, root, directory)
if (files.length > buildFrom) process.env['QUAVER_TEST_TREE'] = await buildTree(root, directory)
const inGroups = new Set(processes.flatMap(({ members = [] }) => members))
/** Milliseconds. Of a file with a process of its own they are the process', otherwise the sum of its tests. */
const times = new Map<string, number>()
run({
  files: processes.map(({ path }) => resolve(root, path)),
  concurrency: Number(values.jobs),
  timeout: fileMillisecondsMax,
  execArgv: [...nodeFlags],
  signal: interrupted.signal,
  ...(values.name === undefined ? {} : { testNamePatterns: [new RegExp(values.name)] }),
})
  .on('test:fail', () => {
    process.exitCode = 1
  })
  .on('test:complete', ({ file = '', nesting, details }) => {
    const path = relative(root, file)
    if (nesting === 0 && inGroups.has(path)) times.set(path, (times.get(path) ?? 0) + details.duration_ms)
  })
  .on('test:summary', ({ file = '', duration_ms: milliseconds }) => {
    const path = relative(root, file)
    if (files.includes(path) && !inGroups.has(path)) times.set(path, milliseconds)
  })
  .compose(spec)
  .on('end', () => {
    if (values.times === true) process.stdout.write(timeTable())
  })
  .pipe(process.stdout)

function options() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean' },
        times: { type: 'boolean' },
        list: { type: 'boolean' },
        name: { type: 'string' },
        jobs: { type: 'string', default: String(jobsByDefault()) },
      },
    })
    if (!/^[1-9]\d{0,2}$/.test(parsed.values.jobs))
      throw new Error(`--jobs ${parsed.values.jobs} is no number from 1 to 999`)
    return parsed
  } catch (error) {
    process.stderr.write(`npm test: ${describeError(error)}\n${usage}`)
    process.exit(2)
  }
}

function jobsByDefault(): number {
  return availableParallelism() + 2
}

/** Relative to the clone. First those that take long, then those that start a whole Quaver, then other processes. */
function chosenFiles(): string[] {
  const all = globSync(['test/**/*.test.ts', 'src/**/*.test.ts'], { cwd: root }).sort()
  const chosen = words.length === 0 ? all : all.filter((file) => reaches(file, words))
  return chosen
    .map((file) => ({ file, rank: rankOf(file) }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ file }) => file)
}

function rankOf(file: string): number {
  if (longest.includes(file)) return longest.indexOf(file)
  if (reaches(file, ['test/kit/instance.ts'])) return longest.length
  return longest.length + (file.startsWith('test/') ? 1 : 2)
}

/** True if the path of the file, or of one that it imports, holds one of these. */
function reaches(file: string, parts: readonly string[]): boolean {
  const seen = new Set([file])
  for (const path of seen) {
    if (parts.some((part) => path.includes(part))) return true
    for (const imported of importsOf(path)) seen.add(imported)
  }
  return false
}

/** What a file of the clone imports from the clone, also what it imports only when it needs it. */
function importsOf(file: string): readonly string[] {
  const known = imports.get(file)
  if (known !== undefined) return known
  const text = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : ''
  const found = [...text.matchAll(/(?:from|import\() *'([.#][^']*\.ts)'/g)].map(([, name = '']) =>
    name.startsWith('#') ? name.slice(1) : join(dirname(file), name),
  )
  imports.set(file, found)
  return found
}

function timeTable(): string {
  return [...times]
    .toSorted(([, a], [, b]) => b - a)
    .map(([file, milliseconds]) => `${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${file}\n`)
    .join('')
}
