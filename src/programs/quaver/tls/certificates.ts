/** `quaver tls`: the certificates of HOME/tls, and the state of the one that comes by ACME.
 *  Never:  prints a key. */
import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import { fieldsOf, textField } from '../../../clients/admin/row.ts'
import { type AcmeState, readAcmeState } from '../../../stores/acme/acme-state.ts'
import { Control } from '../../../stores/control/control.ts'
import { installedCertificate } from '../../../stores/home/certified-pair.ts'
import { type Home, socketPath } from '../../../stores/home/layout.ts'
import { namedTlsDirectories, readTls } from '../../../stores/home/tls-files.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { certificateFacts, issuerOf, validityOf } from '../../../system/keys.ts'
import { askProgram, type GlobalOptions, requireHome } from '../context.ts'
import { CommandError, exitCode } from '../exit.ts'
import { duration, harmless, print, printJson, styled, table, when } from '../output.ts'

/** Long, since an order waits for an authority and for a hook. */
const renewMillisecondsMax = 900_000

interface ShownCertificate {
  /** Below the home. */
  readonly directory: string
  readonly names: readonly string[]
  readonly issuer: string
  readonly selfSigned: boolean
  /** Milliseconds since 1970, as all times here; 0: not known. */
  readonly fromMs: number
  readonly toMs: number
  /** Undefined: it can be used. */
  readonly fault?: string
}

/** docs/programs/acme.md says what each means. */
type AcmeStateName = 'no account' | 'no certificate' | 'issued' | 'due' | 'failing' | 'refused'

export interface ShownAcme {
  readonly directory: string
  readonly names: readonly string[]
  readonly challenge: 'http-01' | 'dns-01'
  readonly state: AcmeStateName
  /** Empty if there is none. */
  readonly account: string
  readonly renewalMs?: number
  readonly explanation: string
  /** The authority's names in CAA records. */
  readonly caaNames: readonly string[]
  readonly failures: number
  readonly failure: string
  readonly failedMs?: number
  readonly againMs?: number
}

export async function status(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const certificates = await shownCertificates(home)
  const acme = await shownAcme(home)
  const now = realClock.now()
  const isBad = certificates.some(({ fault, toMs }) => fault !== undefined || toMs <= now)
  if (isBad || acme?.state === 'failing' || acme?.state === 'refused') process.exitCode = exitCode.failed
  if (options.json === true) return printJson({ certificates, acme: acme ?? null })
  if (certificates.length === 0) print(`there is no certificate in ${home.tls}`)
  else print(table(certificates.map((one) => certificateCells(one, now))))
  print('')
  if (acme === undefined) print("ACME is off: control/acme names no authority ('quaver setup --acme')")
  else showAcme(acme, now)
}

/** Exit code 1 if the authority gives none. */
export async function renew(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  if (!existsSync(socketPath(home, 'acme-admin')))
    throw new CommandError(
      `acme does not run on ${home.path}: it does where control/acme names an authority when Quaver starts`,
    )
  const steps: string[] = []
  await askProgram(
    home,
    'acme-admin',
    { op: 'renew' },
    (row) => {
      const step = textField(fieldsOf(row), 'step')
      if (step === '') return
      steps.push(step)
      if (options.json !== true) print(harmless(step))
    },
    renewMillisecondsMax,
  )
  if (options.json === true) printJson({ installed: true, steps, certificates: await shownCertificates(home) })
}

export async function shownAcme(home: Home): Promise<ShownAcme | undefined> {
  const control = new Control(home.control, realClock)
  const line = control.optionalLine('acme')
  if (line === undefined || line === '') return undefined
  const directory = toText(line)
  const challenge = control.isPresent('acmehook') ? 'dns-01' : 'http-01'
  const names = (control.list('acmenames') ?? []).map((name) => toText(name).toLowerCase())
  const shown = {
    directory,
    names,
    challenge,
    account: '',
    explanation: '',
    caaNames: [],
    failures: 0,
    failure: '',
  } as const
  try {
    const state = await readAcmeState(realFiles, home)
    return { ...shown, ...stateFields(state, directory, await installedCertificate(realFiles, home.tls)) }
  } catch (error) {
    return { ...shown, state: 'refused', failure: describeError(error) }
  }
}

function stateFields(
  { account, renewal, failure, issued }: AcmeState,
  directory: string,
  certificatePem: string | undefined,
): Omit<ShownAcme, 'directory' | 'names' | 'challenge'> {
  const now = realClock.now()
  const isAccount = account?.directory === directory
  const isIssued =
    certificatePem !== undefined && issued?.directory === directory && validityOf(certificatePem).toMs > now
  const isDue = isIssued && renewal !== undefined && renewal.atMs <= now
  const settled = isDue ? 'due' : isIssued ? 'issued' : isAccount ? 'no certificate' : 'no account'
  const isFailing = failure !== undefined && settled !== 'issued'
  return {
    state: isFailing ? 'failing' : settled,
    account: isAccount ? account.url : '',
    explanation: renewal?.explanation ?? '',
    caaNames: issued?.directory === directory ? issued.caaNames : [],
    failures: failure?.count ?? 0,
    failure: failure?.text ?? '',
    ...(isIssued && renewal !== undefined ? { renewalMs: Math.round(renewal.atMs) } : {}),
    ...(failure === undefined ? {} : { failedMs: failure.atMs, againMs: Math.round(failure.againMs) }),
  }
}

async function shownCertificates(home: Home): Promise<ShownCertificate[]> {
  const found: ShownCertificate[] = []
  const directories = await namedTlsDirectories(home.tls).catch((error: unknown) => {
    throw new CommandError(`${describeError(error)}: ask as root`)
  })
  for (const path of [home.tls, ...directories]) {
    const directory = relative(home.path, path)
    const state = await readTls(path)
    if (state.kind === 'absent') continue
    if (state.kind === 'pair') found.push({ directory, ...factsOf(state.pair.certificatePem) })
    else found.push({ directory, ...unknown, fault: state.fault })
  }
  return found
}

const unknown = { names: [], issuer: '', selfSigned: false, fromMs: 0, toMs: 0 } as const

function factsOf(pem: string): Omit<ShownCertificate, 'directory' | 'fault'> {
  const facts = certificateFacts(pem)
  return {
    names: facts?.hosts ?? [],
    issuer: issuerOf(pem),
    selfSigned: facts?.selfSigned ?? false,
    ...validityOf(pem),
  }
}

function certificateCells(one: ShownCertificate, now: number): string[] {
  const { directory, names, issuer, selfSigned, toMs, fault } = one
  if (fault !== undefined) return [directory, styled('red', harmless(fault))]
  const left = toMs - now
  const until = left > 0 ? `for ${duration(left)} more` : styled('red', `ended ${duration(-left)} ago`)
  const by = selfSigned ? styled('yellow', 'signed by itself') : `by ${harmless(issuer)}`
  return [directory, names.map(harmless).join(', '), by, until]
}

const colours = {
  'no account': 'yellow',
  'no certificate': 'yellow',
  issued: 'green',
  due: 'yellow',
  failing: 'red',
  refused: 'red',
} as const

function showAcme(acme: ShownAcme, now: number): void {
  const { directory, names, state, account, renewalMs, explanation, failures, failure, failedMs, againMs } = acme
  print(`ACME by ${harmless(directory)}, for ${names.map(harmless).join(', ')} (${acme.challenge})`)
  print(`  state    ${styled(colours[state], state)}`)
  if (account !== '') print(`  account  ${harmless(account)}`)
  if (renewalMs !== undefined) {
    const far = renewalMs > now ? `in ${duration(renewalMs - now)}` : 'now'
    print(`  renewal  ${far} (${when(renewalMs)})${explanation === '' ? '' : `, see ${harmless(explanation)}`}`)
  }
  if (failure === '') return
  const times = failures > 1 ? `${failures} times in a row, last ` : ''
  const ago = failedMs === undefined ? '' : ` ${times}${duration(now - failedMs)} ago`
  print(`  failed  ${ago}: ${harmless(failure)}`)
  if (againMs !== undefined && state !== 'issued')
    print(`  again    ${againMs > now ? `in ${duration(againMs - now)}` : 'within a minute'}; now: quaver tls renew`)
}
