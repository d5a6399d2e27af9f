/** `quaver doctor`: checks everything that can be wrong with a mail host: the checks that `setup` begins with, the files as
 *  `control check` and `check` do, the programs as `status` does, and how long mail has waited.
 *  Never:  changes anything without --fix, and then only what cannot be intended: owners, modes, compiled files, a damaged
 *          queue. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describeError } from '../../../base/outcome.ts'
import { toText } from '../../../base/byte-string.ts'
import { askAll } from '../../../clients/admin/ask.ts'
import { readMessage } from '../../../clients/admin/queue-listing.ts'
import { fieldsOf, textField } from '../../../clients/admin/row.ts'
import { SystemDns } from '../../../clients/dns/resolver.ts'
import { rulesNames } from '../../../contracts/services.ts'
import { causes } from '../../../contracts/troubles.ts'
import { parseRelay } from '../../../protocols/qmail/smtproutes.ts'
import { listDomains } from '../../../stores/accounts/domains.ts'
import { Control } from '../../../stores/control/control.ts'
import { type Home, socketPath } from '../../../stores/home/layout.ts'
import { compileRules } from '../../../stores/tcprules/compile.ts'
import { isOutdated, rulePaths, stampOf } from '../../../stores/tcprules/files.ts'
import { compileAssign } from '../../../stores/users/assign.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { type GlobalOptions, requireHome } from '../context.ts'
import { inspect } from '../control-check.ts'
import { dnsOf } from '../dkim.ts'
import { exitCode } from '../exit.ts'
import { checkPorts, examine } from '../machine/checks.ts'
import { finding, type MachineFinding, printFindings } from '../machine/finding.ts'
import { homeFaults, type RightsFault, treeFaults } from '../machine/rights.ts'
import { serverName } from '../mail-services.ts'
import { duration, print, printJson, styled } from '../output.ts'
import { sendmailFindings } from '../setup/machine-sendmail.ts'
import { troublesIn } from '../status.ts'
import { queueFaultFindings } from './queue-faults.ts'
import { acmeFindings } from './acme.ts'
import { policyFindings } from './policies.ts'
import { dnssecFindings } from './dnssec.ts'
import { signingKeyFindings } from './signing-keys.ts'

export interface DoctorOptions extends GlobalOptions {
  readonly fix?: true
  readonly offline?: true
  readonly thorough?: true
  readonly timeServer: string
}

const queryLimits = { queryMilliseconds: 2_000, triesMax: 2 }
/** Mail that has waited this long usually needs a person. */
const waitMillisecondsGood: number = 24 * 3_600_000

/** A finding, and how to mend it if that is safe. */
interface Diagnosis extends MachineFinding {
  /** Resolves to what there is to tell of it. */
  readonly mend?: () => void | Promise<string | undefined>
}

export async function doctor(options: DoctorOptions): Promise<void> {
  const home = requireHome(options)
  const mended: string[] = []
  let found = await diagnose(home, options)
  if (options.fix === true) {
    for (const { check, text, mend } of found) {
      if (mend === undefined) continue
      const told = await mend()
      mended.push(`${check}: ${text}${told ?? ''}`)
    }
    if (mended.length > 0) found = await diagnose(home, options)
  }
  const findings = found.map(({ check, level, text, remedy }) => ({ check, level, text, remedy }))
  if (findings.some(({ level }) => level === 'error')) process.exitCode = exitCode.failed
  if (options.json === true) return printJson({ home: home.path, mended, findings })
  for (const line of mended) print(`${styled('green', 'mended')}  ${line}`)
  printFindings(findings)
  if (findings.length === 0)
    print(`${styled('green', 'ok')}  nothing is wrong with ${home.path}, its machine and its network`)
}

async function diagnose(home: Home, options: DoctorOptions): Promise<Diagnosis[]> {
  const isDemo = existsSync(join(home.path, 'demo-password'))
  const rows = await askAll(socketPath(home, 'start'), { op: 'status' }, realClock).catch(() => undefined)
  const rights = [...(await treeFaults()), ...(isDemo ? [] : await homeFaults(home))]
  return [
    ...serviceFindings(home, rows),
    ...(rows === undefined && !isDemo ? checkPorts() : []),
    ...(await inspect(home)).findings.map(({ file, line, fault, remedy }) =>
      finding(
        isSoon(fault) ? 'warning' : 'error',
        'control',
        `${file}${line === undefined ? '' : ` line ${line}`} ${fault}`,
        remedy,
      ),
    ),
    ...rights.map(rightsFinding),
    ...compiledFindings(home),
    ...sendmailFindings(home),
    ...(await queueFindings(home, rows !== undefined)),
    ...(await queueFaultFindings(home, options.json === true, options.thorough === true)),
    ...(await certificateFindings(home)),
    ...(await acmeFindings(home, options.offline !== true && !isDemo)),
    ...(options.offline === true || isDemo ? [] : await policyFindings(home, dnsOf(home))),
    ...(await signingKeyFindings(home, options.offline === true || isDemo ? undefined : dnsOf(home))),
    ...(options.offline === true || isDemo ? [] : await machineFindings(home, options)),
    ...(isDemo ? [] : dnssecFindings(home)),
  ]
}

function isSoon(fault: string): boolean {
  return fault.startsWith(causes['certificate-expiring'].title)
}

/** The troubles of `status`, without those that doctor checks itself. */
function serviceFindings(home: Home, rows: readonly unknown[] | undefined): Diagnosis[] {
  if (rows === undefined)
    return [
      finding(
        'error',
        'service',
        `Quaver does not run on ${home.path}`,
        `quaver start --home ${home.path}, or as your init system does`,
      ),
    ]
  const [summary, ...programs] = rows.map(fieldsOf)
  const down = programs.filter((row) => !['running', 'held'].includes(textField(row, 'state')))
  return [
    ...down.map((row) => {
      const text = `${textField(row, 'program')} is ${textField(row, 'state')}: ${textField(row, 'lastEnd')}`
      return finding('error', 'service', text, 'the log has more')
    }),
    ...troublesIn(summary ?? {})
      .filter(({ kind }) => !kind.startsWith('certificate-'))
      .map(({ program, kind, title, where, text, remedy }) => {
        const place = where === '' ? '' : ` (${where})`
        return finding(
          kind === 'account-locked' ? 'note' : 'error',
          'trouble',
          `${program}: ${title}${place}: ${text}`,
          remedy,
        )
      }),
  ]
}

function rightsFinding({ path, fault, remedy, mend }: RightsFault): Diagnosis {
  return { ...finding('error', 'files', `${path} ${fault}`, remedy), ...(mend === undefined ? {} : { mend }) }
}

/** Compiled files that are older than their source. */
function compiledFindings(home: Home): Diagnosis[] {
  const found: Diagnosis[] = []
  for (const service of rulesNames) {
    const { source, cdb, name } = rulePaths(home, service)
    if (!isOutdated(stampOf(source), stampOf(cdb))) continue
    const mend = async (): Promise<undefined> => void (await compileRules(home, service))
    found.push({
      ...finding('warning', 'compiled', `${name} is newer than ${name}.cdb`, `quaver rules compile ${service}`),
      mend,
    })
  }
  if (isOutdated(stampOf(join(home.users, 'assign')), stampOf(join(home.users, 'cdb')))) {
    const mend = async (): Promise<undefined> => void (await compileAssign(home))
    found.push({
      ...finding('warning', 'compiled', 'users/assign is newer than users/cdb', 'quaver account compile'),
      mend,
    })
  }
  return found
}

/** Examines the oldest waiting message. */
async function queueFindings(home: Home, runs: boolean): Promise<Diagnosis[]> {
  if (!runs) return []
  try {
    const [first] = await askAll(socketPath(home, 'queue-admin'), { op: 'list', after: 0, limit: 1 }, realClock)
    if (first === undefined) return []
    const { id, bornMs } = readMessage(first)
    const age = realClock.now() - bornMs
    if (age < waitMillisecondsGood) return []
    return [finding('warning', 'queue', `message ${id} has waited for ${duration(age)}`, `quaver queue why ${id}`)]
  } catch (error) {
    return [finding('error', 'queue', describeError(error), 'quaver status')]
  }
}

async function certificateFindings(home: Home): Promise<Diagnosis[]> {
  try {
    const { warnings } = await serverName(home)
    return warnings.map((text) =>
      finding(
        'warning',
        'certificate',
        text,
        `have an authority make one (quaver setup --acme), or put a pair of one into ${home.tls}`,
      ),
    )
  } catch {
    // Without control/me nothing starts, which another check reports.
    return []
  }
}

async function machineFindings(home: Home, { timeServer }: DoctorOptions): Promise<Diagnosis[]> {
  const control = new Control(home.control, realClock)
  const me = control.optionalLine('me')
  if (me === undefined) return []
  const relay = parseRelay(control.map('smtproutes')?.get('') ?? '')
  return await examine({
    dns: new SystemDns(realClock, control.list('dnsservers') ?? [], queryLimits),
    host: toText(me).toLowerCase(),
    domains: (await listDomains(realFiles, home)).map(({ domain }) => domain),
    home: home.path,
    smarthost: relay === undefined || relay.host === '' ? undefined : { host: toText(relay.host), port: relay.port },
    timeServer,
  })
}
