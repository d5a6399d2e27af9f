/** `quaver setup`: makes a mail host of a fresh machine, in one command. First it checks, then it writes, then it tests.
 *  Knows:  the order. Never: enables a service unasked.
 *  Fails:  finished steps stay and are recorded; the next run goes on there. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describeError } from '../../../base/outcome.ts'
import { SystemDns } from '../../../clients/dns/resolver.ts'
import { askAll } from '../../../clients/admin/ask.ts'
import { listAccounts } from '../../../stores/accounts/accounts.ts'
import { textOf } from '../../../stores/accounts/address.ts'
import { lockDirectory } from '../../../stores/home/directory-lock.ts'
import { Control } from '../../../stores/control/control.ts'
import { type Home, socketPath } from '../../../stores/home/layout.ts'
import { refuseQmailQueue } from '../../../stores/home/qmail-queue.ts'
import { type Made, MadeThings } from '../../../stores/installation/made.ts'
import { removeLeftovers } from '../../../stores/installation/leftovers.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { confirm, readSecret } from '../ask-person.ts'
import { isRunning } from '../context.ts'
import { printZone, type Zone, zoneOf } from '../dns.ts'
import { CommandError, exitCode } from '../exit.ts'
import { checkPorts, examine } from '../machine/checks.ts'
import { type MachineFinding, printFindings } from '../machine/finding.ts'
import { print, printJson, styled } from '../output.ts'
import { initSystems, nextSteps } from '../services/systems.ts'
import { startArguments } from '../start.ts'
import { startInBackground } from '../start-background.ts'
import { askForOptions } from './ask-for-options.ts'
import { asCommandError } from './known-errors.ts'
import { sendmailFindings } from './machine-sendmail.ts'
import { planOf, type SetupOptions, type SetupPlan } from './plan.ts'
import { removeTestLetters, type TestedPart, testServices } from './self-test.ts'
import { type Passwords, type Step, stepsOf } from './steps.ts'

const queryLimits = { queryMilliseconds: 2_000, triesMax: 2 }
const enableMillisecondsMax = 180_000
const httpPort = 80

/** What `--json` says at the end, whatever the end is. */
interface Report {
  readonly home: string
  readonly host: string
  readonly address: string
  findings: readonly MachineFinding[]
  done: string[]
  password?: string
  tests: readonly TestedPart[]
  zone?: Zone
  next: readonly string[]
  failure?: string
}

export async function setup(text: string | undefined, given: SetupOptions): Promise<void> {
  if (process.getuid?.() !== 0 && given.dryRun !== true)
    throw new CommandError('only root can set up a mail host; --dry-run shows to anybody what it would do')
  process.umask(0o022)
  const { address, options } = await askForOptions(text, given)
  const secret = options.smarthostPasswordStdin === true ? await readSecret('--smarthost-password-stdin') : undefined
  try {
    const plan = await planOf(address, options, secret)
    await refuseOthersHome(plan.home)
    if (options.dryRun === true) return await look(plan, options)
    const unlock = await lockDirectory(existingAbove(plan.home.path), 0)
    try {
      await make(plan, options)
    } finally {
      await unlock()
    }
  } catch (error) {
    throw asCommandError(error)
  }
}

async function refuseOthersHome(home: Home): Promise<void> {
  if (existsSync(join(home.path, 'demo-password')))
    throw new CommandError(`${home.path} is a demo's home: --home names another place`)
  await refuseQmailQueue(home)
}

/** Two set-ups at once must not make the same things. */
function existingAbove(path: string): string {
  let directory = dirname(path)
  while (!existsSync(directory)) directory = dirname(directory)
  return directory
}

/** `--dry-run`. */
async function look(plan: SetupPlan, options: SetupOptions): Promise<void> {
  const undone = await undoneOf(stepsOf(plan, { first: undefined }))
  const findings = await gate(plan, options)
  if (options.json === true) printJson({ ...emptyReport(plan), findings, next: undone.map(({ title }) => title) })
  else {
    printFindings(findings)
    printPlan(undone)
  }
  if (findings.some(({ level }) => level === 'error')) process.exitCode = exitCode.failed
}

async function make(plan: SetupPlan, options: SetupOptions): Promise<void> {
  const isLoud = options.json !== true
  const passwords: Passwords = { first: undefined }
  const report = emptyReport(plan)
  await removeLeftovers(plan.home)
  const undone = await undoneOf(stepsOf(plan, passwords))
  const isTested = !options.selfTest || testOf(await MadeThings.read(plan.home.path))?.passed === true
  if (undone.length === 0 && isTested) return nothingToDo(report, options)
  report.findings = await gate(plan, options)
  if (isLoud) printFindings(report.findings)
  refuseUnready(report, isLoud)
  if (isLoud && options.yes !== true) printPlan(undone)
  if (undone.length > 0) await confirm(`make these on ${plan.host}`, options.yes === true)
  try {
    await takeAll(plan, undone, report, isLoud)
    if (options.enable === true) await enable(plan, report, isLoud)
    if (options.selfTest) await testAll(plan, passwords, report, isLoud)
    report.zone = await zoneOf(plan.home, [plan.address.domain])
    report.next = await stepsToStart(plan, options)
  } catch (error) {
    report.failure = describeError(error)
    throw error
  } finally {
    if (passwords.first !== undefined) report.password = passwords.first
    if (isLoud) printEnd(plan, report)
    else printJson(report)
    if (report.password !== undefined) await (await MadeThings.read(plan.home.path)).forget(textOf(plan.address))
  }
  if (report.tests.some(({ state }) => state === 'failed')) process.exitCode = exitCode.failed
}

function emptyReport({ home, host, address }: SetupPlan): Report {
  return { home: home.path, host, address: textOf(address), findings: [], done: [], tests: [], next: [] }
}

async function undoneOf(steps: readonly Step[]): Promise<Step[]> {
  const undone: Step[] = []
  for (const step of steps) if (!(await step.isDone())) undone.push(step)
  return undone
}

function refuseUnready(report: Report, isLoud: boolean): void {
  const stops = report.findings.filter(({ level }) => level === 'error')
  if (stops.length === 0) return
  if (!isLoud) printJson({ ...report, failure: 'the machine is not ready' })
  const ignoring = [...new Set(stops.map(({ check }) => `--ignore ${check}`))].join(' ')
  throw new CommandError(`nothing was written: mend the errors above, or leave them out of account: ${ignoring}`)
}

function nothingToDo(report: Report, { json }: SetupOptions): void {
  if (json === true) printJson(report)
  else
    print(
      `nothing to do: ${report.home} is set up for ${report.address} on ${report.host}; 'quaver doctor' looks at all of it`,
    )
}

async function gate(plan: SetupPlan, options: SetupOptions): Promise<MachineFinding[]> {
  const control = new Control(plan.home.control, realClock)
  const found = await examine({
    dns: new SystemDns(realClock, control.list('dnsservers') ?? [], queryLimits),
    host: plan.host,
    domains: [plan.address.domain],
    home: plan.home.path,
    smarthost: plan.smarthost,
    timeServer: options.timeServer,
  })
  const more = plan.acme === undefined || control.isPresent('acmehook') ? [] : [httpPort]
  const ports = (await isRunning(plan.home)) ? [] : checkPorts(...more)
  const ignored = options.ignore ?? []
  return [...ports, ...found, ...sendmailFindings(plan.home, plan.sendmail)].map((one) => {
    return one.level === 'error' && ignored.includes(one.check) ? { ...one, level: 'warning' as const } : one
  })
}

function printPlan(steps: readonly Step[]): void {
  print(styled('bold', 'To be made'))
  for (const { title } of steps) print(`  ${title}`)
}

async function takeAll(plan: SetupPlan, steps: readonly Step[], report: Report, isLoud: boolean): Promise<void> {
  if (isLoud) print(styled('bold', 'Made'))
  for (const step of steps) {
    // It may have become true by a step before.
    if (await step.isDone()) continue
    const made = await MadeThings.read(plan.home.path)
    const told = await step.take(made)
    report.done.push(step.title)
    if (isLoud) print(`  ${step.title}${told === undefined ? '' : styled('yellow', `: ${told}`)}`)
  }
}

/** Runs the commands that are otherwise shown for doing it by hand. */
async function enable(plan: SetupPlan, report: Report, isLoud: boolean): Promise<void> {
  if (plan.service === undefined) throw new CommandError('--enable needs --service: no init system is known here')
  const { enable: first, start } = initSystems[plan.service]
  for (const line of [first.replace(/ {3}\(.*\)$/, ''), start]) {
    await promisify(execFile)('/bin/sh', ['-c', line], { timeout: enableMillisecondsMax, cwd: '/' })
    report.done.push(line)
    if (isLoud) print(`  ${line}`)
  }
}

/** Tests the running services; if none run, starts them for the test and stops them. */
async function testAll(plan: SetupPlan, passwords: Passwords, report: Report, isLoud: boolean): Promise<void> {
  const { home } = plan
  const account = (await listAccounts(realFiles, home)).find(({ address }) => address === textOf(plan.address))
  if (account === undefined) throw new CommandError(`${textOf(plan.address)} is no account`)
  const made = await MadeThings.read(home.path)
  // Services left running by a killed test were not started by the administrator.
  const wasCut = testOf(made)?.passed === false
  const ran = (await isRunning(home)) && !wasCut
  await made.note({ kind: 'test', path: 'self-test', passed: false })
  if (!(await isRunning(home)))
    await startInBackground(startArguments(home.path, { log: 'stderr' }), home.path, undefined)
  try {
    report.tests = await testServices(home, account, passwords.first)
    if (wasCut) await removeTestLetters(account)
  } finally {
    if (!ran) await askAll(socketPath(home, 'start'), { op: 'stop' }, realClock, enableMillisecondsMax)
  }
  const passed = report.tests.every(({ state }) => state !== 'failed')
  if (passed) await made.note({ kind: 'test', path: 'self-test', passed })
  if (!isLoud) return
  print(styled('bold', 'Tested'))
  const colours = { passed: 'green', failed: 'red', skipped: 'yellow' } as const
  for (const { name, state, text } of report.tests)
    print(`  ${styled(colours[state], state.padEnd(7))} ${name.padEnd(24)} ${text}`)
}

async function stepsToStart(plan: SetupPlan, { enable: isEnabled }: SetupOptions): Promise<readonly string[]> {
  const { service, home, acme } = plan
  const runs = await isRunning(home)
  const later: string[] = []
  if (acme !== undefined && runs && !existsSync(socketPath(home, 'acme-admin')))
    later.push('stop Quaver and start it again: acme runs from then on')
  if (acme !== undefined)
    later.push('quaver tls renew   (when the DNS has the address of this host; by itself within hours)')
  if (isEnabled === true) return later
  return service === undefined
    ? [`quaver start --home ${home.path}   (at every boot: quaver services list)`, ...later]
    : [...nextSteps(service), ...later]
}

function testOf(made: MadeThings): Extract<Made, { kind: 'test' }> | undefined {
  const found = made.find('self-test')
  return found?.kind === 'test' ? found : undefined
}

function printEnd({ address }: SetupPlan, { zone, next, password, failure }: Report): void {
  if (zone !== undefined) {
    print(styled('bold', 'To be published in the DNS') + ` (again: quaver dns ${address.domain})`)
    printZone(zone)
  }
  if (password !== undefined) {
    print(styled('bold', 'Account'))
    print(`  ${textOf(address)}  password: ${styled('bold', password)}   (shown only now)`)
    print(`  what to type into a mail program: quaver account show ${textOf(address)}`)
  }
  if (next.length > 0) print(styled('bold', 'To start it'))
  for (const line of next) print(`  ${line}`)
  if (failure !== undefined) print('not complete: the same command goes on where this one ended')
}
