/** The process that `quaver start` becomes. */
import { describeError } from '../../base/outcome.ts'
import { systemRefusal } from '../../contracts/troubles.ts'
import { AccountError } from '../../stores/home/account-error.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { HomeError } from '../../stores/home/make.ts'
import { BindError } from '../../system/bind.ts'
import { forbidTracing, keepInheritedDescriptors } from '../../system/libc.ts'
import { realClock } from '../../system/clock.ts'
import { flushLog } from '../../system/log.ts'
import { ignoreUnnamedSignals } from '../../system/signals.ts'
import { parseOptions, type StartOptions } from './options.ts'
import { programs } from './program.ts'
import { Readiness } from './readiness.ts'
import { obeySignals } from './signals.ts'
import { type Announcements, start, type Started } from './start.ts'
import { UsageError } from './usage-error.ts'

// Files of the home are read by other accounts, whatever the caller's umask; `start` narrows it before the programs.
process.umask(0o022)
ignoreUnnamedSignals()
forbidTracing()
keepInheritedDescriptors()
// A terminal, pipe or file that takes no more output must not end `start`.
for (const screen of [process.stdout, process.stderr]) screen.on('error', () => undefined)

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.demo) await runDemo(options)
  else await runService(options)
} catch (error) {
  process.stderr.write(`${explain(error)}\n`)
  process.exit(error instanceof UsageError ? 2 : 111)
}

async function run(options: StartOptions, announcements: Announcements): Promise<Started> {
  const started = await start(options, programs, announcements)
  started.screen.note(`runs on ${started.home.path}, pid ${process.pid}`)
  obeySignals(started, { watchParent: options.demo && process.env['npm_lifecycle_event'] !== undefined })
  return started
}

async function runService(options: StartOptions): Promise<void> {
  const readiness = new Readiness(options.readyFd, process.env, realClock)
  readiness.await()
  await run(options, { allReady: () => readiness.tell(), ready: () => undefined })
}

async function runDemo(options: StartOptions): Promise<void> {
  const { Demo } = await import('./demo.ts')
  const demo = new Demo(options)
  await demo.prepare(homeAt(options.home))
  demo.started(await run(options, demo))
}

/** Known faults, and refusals of the system, are explained by their text alone; anything else is a bug and shows its stack. */
function explain(error: unknown): string {
  flushLog()
  const known = [HomeError, AccountError, BindError, UsageError].some((kind) => error instanceof kind)
  const text =
    systemRefusal(error) ?? (known || !(error instanceof Error) ? describeLines(error) : (error.stack ?? error.message))
  return text
    .split('\n')
    .map((line) => `quaver start: ${line}`)
    .join('\n')
}

function describeLines(error: unknown): string {
  return error instanceof Error ? error.message : describeError(error)
}
