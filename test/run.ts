/** `npm test`: runs the test files, each in a process of its own, some at a time, those that take long first.
 *  Fails:  exits 1 if a test failed, 2 if there is nothing to run. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { parseArgs } from 'node:util'
import { nodeFlags } from '../src/system/node-flags.ts'

const root = join(import.meta.dirname, '..')
const usage = `npm test                 everything
npm test -- WORD …       the test files whose path has one of the words, and those that import a file whose path has it,
                         directly or by way of others; what runs Quaver in processes of its own imports little of it
npm test -- --times      and at the end what each file took, slowest first
npm test -- --name TEXT  only the tests whose name matches this regular expression
npm test -- --jobs N     so many files at a time (${jobsByDefault()} on this machine)
`
/** Of one file. Most tests have limits of their own. */
const fileMillisecondsMax = 300_000
/** They wait more than they compute: begun first, they run beside all the others. */
const longest: readonly string[] = []

interface FileTime {
  readonly file: string
  readonly milliseconds: number
}

const imports = new Map<string, readonly string[]>()
const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    times: { type: 'boolean' },
    name: { type: 'string' },
    jobs: { type: 'string', default: String(jobsByDefault()) },
  },
})
if (values.help === true) {
  process.stdout.write(usage)
  process.exit()
}
const files = chosenFiles()
if (files.length === 0) {
  process.stderr.write(`npm test: no test file has or imports ${words.join(' or ')}\n`)
  process.exit(2)
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
const times: FileTime[] = []
run({
  files: files.map((file) => join(root, file)),
  concurrency: Number(values.jobs),
  timeout: fileMillisecondsMax,
  execArgv: [...nodeFlags],
  signal: interrupted.signal,
  ...(values.name === undefined ? {} : { testNamePatterns: [new RegExp(values.name)] }),
})
  .on('test:fail', () => {
    process.exitCode = 1
  })
  .on('test:summary', ({ file, duration_ms: milliseconds }) => {
    if (file !== undefined) times.push({ file: relative(root, file), milliseconds })
  })
  .compose(spec)
  .on('end', () => {
    if (values.times === true) process.stdout.write(timeTable(times))
  })
  .pipe(process.stdout)

function jobsByDefault(): number {
  return availableParallelism() + 2
}

/** Relative to the clone, those that take long first, then what starts processes. */
function chosenFiles(): string[] {
  const rank = (file: string): number =>
    longest.includes(file) ? longest.indexOf(file) - longest.length : file.startsWith('test/') ? 0 : 1
  const all = globSync(['test/**/*.test.ts', 'src/**/*.test.ts'], { cwd: root }).sort()
  const fitting = words.length === 0 ? all : all.filter((file) => isTouched(file))
  return fitting.sort((a, b) => rank(a) - rank(b))
}

function isTouched(file: string): boolean {
  const seen = new Set([file])
  for (const path of seen) {
    if (words.some((word) => path.includes(word))) return true
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

function timeTable(of: readonly FileTime[]): string {
  return of
    .toSorted((a, b) => b.milliseconds - a.milliseconds)
    .map(({ file, milliseconds }) => `${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${file}\n`)
    .join('')
}
