/** `quaver dmarc take`: run for each mail to the report address (qmail-command(8)). Keeps a report from an authenticated domain
 *  about a domain of ours, and notes which of our reports bounced.
 *  Fails:  exit code 99: the report is kept, and later lines of `.qmail` are skipped. 0: it is no report, those lines apply;
 *          standard output says why, for the log. 111: temporary failure. */
import { lowerAscii } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { ownResultsIn, provenDomain } from '../../protocols/auth-results/read-results.ts'
import { headerFields } from '../../protocols/dkim/header-fields.ts'
import type { AggregateReport } from '../../protocols/dmarc/aggregate-report.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'
import { ReportError } from '../../protocols/reports/report-error.ts'
import { Control } from '../../stores/control/control.ts'
import { ownResults } from '../../stores/control/own-results.ts'
import { noteFailedReport } from '../../stores/dmarc-reports/failed-reports.ts'
import { keepReport } from '../../stores/dmarc-reports/received-reports.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { readDescriptor } from '../../system/input-spool.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { reportInMail } from './dmarc-report-in.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print } from './output.ts'

/** 10 MiB of report in base64, and a header. */
const messageBytesMax: number = 16 * 1024 * 1024
/** A bounce has the header of the returned message within this. */
const bounceBytesOfInterest: number = 256 * 1024
/** Others' clocks may be hours wrong; a report that is a year late is useless. */
const futureMillisecondsMax: number = 2 * 86_400_000
const pastMillisecondsMax: number = 365 * 86_400_000
/** qmail-command(8): the lines behind this one do not count. */
const takenExitCode = 99

export async function take(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  try {
    const said = await taken(home, await message())
    print(harmless(said))
    process.exitCode = takenExitCode
  } catch (error) {
    if (!(error instanceof ReportError)) throw new CommandError(describeError(error), exitCode.temporary)
    print(harmless(`no report that counts: ${error.message}`))
  }
}

/** Returns what was done, for the log. */
async function taken(home: Home, mail: Buffer): Promise<string> {
  if (process.env['SENDER'] === '') return await returned(home, mail)
  const control = new Control(home.control, realClock)
  const sentBy = provenDomain(ownResultsIn(headerFields(headerOf(mail)), ownResults(control)))
  if (sentBy === undefined) throw new ReportError('neither DMARC nor DKIM says who sent it')
  const report = await reportInMail(mail)
  checkDates(report)
  if (!isOurs(control, report.domain))
    throw new ReportError(`it is about ${report.domain}, which is in none of control/locals, rcpthosts, virtualdomains`)
  const isNew = await keepReport(realFiles, home, { ...report, sentBy }, realClock.now())
  const messages = report.rows.reduce((sum, { count }) => sum + count, 0)
  return `DMARC report ${report.id} of ${sentBy} about ${report.domain}: ${isNew ? `${messages} messages` : 'known already'}`
}

/** A bounce contains the returned message's id in some form; only its receivers know the id. */
async function returned(home: Home, mail: Buffer): Promise<string> {
  const text = mail.subarray(0, bounceBytesOfInterest).toString('latin1')
  const token = /\bdmarc\.([0-9a-f]{32})@/.exec(text)?.[1]
  if (token === undefined) throw new ReportError('a bounce of something else')
  if (/^action:[ \t]*delayed\b/im.test(text)) return 'a report of ours is late'
  await noteFailedReport(realFiles, home, token, realClock.now())
  return 'a report of ours came back'
}

async function message(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of readDescriptor(0) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > messageBytesMax) throw new ReportError(`a mail of more than ${messageBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function headerOf(mail: Buffer): string {
  let header = ''
  const cut = new HeaderAndBody({ header: (text) => (header = text), body: () => undefined })
  cut.push(mail)
  cut.end()
  return header
}

function checkDates({ begin, end }: AggregateReport): void {
  const now = realClock.now()
  const isSane = end * 1000 <= now + futureMillisecondsMax && begin * 1000 >= now - pastMillisecondsMax
  if (!isSane) throw new ReportError(`it is about the time from ${begin} to ${end}, in seconds since 1970`)
}

/** Or below one of ours. */
function isOurs(control: Control, domain: string): boolean {
  const named = [
    ...(control.list('locals') ?? []),
    ...(control.list('rcpthosts') ?? []),
    ...(control.list('morercpthosts') ?? []),
    ...(control.map('virtualdomains')?.keys() ?? []),
    ...(control.map('dkimdomains')?.keys() ?? []),
  ]
  const ours = new Set(named.map((name) => lowerAscii(name).replace(/^\./, '')))
  const labels = domain.split('.')
  return labels.some((_, at) => ours.has(labels.slice(at).join('.')))
}
