/** policy: answers smtpd, login and the command line about clients and messages: names, SPF, DNS lists, greylisting, DKIM
 *  and DMARC. Runs as qmailc.
 *  Touches: control/ (reads), HOME/greylist, HOME/reports, the DNS; the queue's public socket, for reports (DMARC).
 *  Never:   sees more of a message than its header and digests of its body, refuses mail.
 *  Fails:   a question that cannot be answered gets `none`; mail goes on as if it had not been asked. */
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { enqueue, enqueueClient } from '../../clients/queue/hand-in.ts'
import type { PolicyAnswer, PolicyNotice, PolicyRequest } from '../../contracts/policy.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { gzipped } from '../../system/gzip.ts'
import { serveDescriptor } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { storedInMemory } from '../../system/spool.ts'
import { supervised } from '../../system/supervised.ts'
import { AuthCheck } from './auth-check.ts'
import { DailyAlert } from './daily-alert.ts'
import { DnsblCheck } from './dnsbl-check.ts'
import { GreylistCheck } from './greylist-check.ts'
import { checkQueryLimits } from './limits.ts'
import { NameCheck } from './name-check.ts'
import { Questions } from './questions.ts'
import { readReportSettings } from './report-settings.ts'
import { readReportMode } from './report-sender.ts'
import { Reports } from './reports.ts'
import { SpfCheck } from './spf-check.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const log = openLog('policy')
const home = homeAt(values.home ?? '.')
const clock = realClock
process.umask(0o077)

const program = supervised(
  log,
  { stop, troubles: () => [...dns.troubles(), ...controlTroubles(control, 'policy')] },
  values.listen?.split(',') ?? ['policy'],
)
const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const alerts = new DailyAlert(clock, log)
const onTrouble = (topic: string, text: string): void => alerts.tell(topic, text)

const dns = openDns()
const names = new NameCheck({ dns, clock })
const spf = new SpfCheck({ dns, clock, random: realRandom, receiver: control.optionalLine('me') ?? 'unknown' })
const auth = new AuthCheck({ dns, clock, spf, onEvaluated: (message) => reports.evaluated(message) })
const queue = enqueueClient(socketPath(home, 'queue-inject'))
const reports = new Reports({
  home,
  clock,
  random: realRandom,
  log,
  onTrouble,
  refresh: () => control.refresh(),
  mode: () => readReportMode(control.line('dmarcreports')),
  settings: () => readReportSettings(home, control),
  texts: (name, deadline) => auth.texts(name, deadline),
  send: (from, to, content) =>
    enqueue(queue, { sender: from, recipients: [to] }, storedInMemory([Buffer.from(content, 'latin1')])),
  compress: async (text) => (await gzipped(text)).toString('base64'),
  newToken: () => realRandom.bytes(16).toString('hex'),
})
const dnsbl = new DnsblCheck({ dns, clock, onTrouble })
const greylist = new GreylistCheck({ directory: home.greylist, clock, onTrouble })

const fd = program.listeners.get('policy') ?? program.fail('--listen policy is missing')
const namesFd = program.listeners.get('policy-names')
const sentFd = program.listeners.get('policy-sent')
const adminFd = program.listeners.get('policy-admin')
const take = (notice: PolicyNotice): void => reports.notice(notice)
const served = [
  new Questions(fd, { clock, log, answer, notice: { kind: 'acted', take } }),
  ...(namesFd === undefined ? [] : [new Questions(namesFd, { clock, log, answer: answerAboutNames })]),
  ...(sentFd === undefined
    ? []
    : [new Questions(sentFd, { clock, log, answer: nothing, notice: { kind: 'sent', take } })]),
]
await Promise.all(served.map((questions) => questions.listening()))
if (adminFd !== undefined) serveDescriptor(adminFd, (socket) => reports.serve(socket))
reports.start()
program.ready()

async function answerAboutNames(request: PolicyRequest): Promise<PolicyAnswer> {
  if (request.kind !== 'name') throw new Error('only names are told here')
  return await names.answer(request)
}

function nothing(): Promise<PolicyAnswer> {
  return Promise.reject(new Error('nothing is told here'))
}

async function answer(request: PolicyRequest): Promise<PolicyAnswer> {
  switch (request.kind) {
    case 'name':
      return await names.answer(request)
    case 'spf':
      return await spf.answer(request)
    case 'dnsbl':
      return await dnsbl.answer(request)
    case 'greylist':
      return greylist.answer(request)
    case 'auth':
      return await auth.answer(request)
  }
}

function openDns(): SystemDns {
  try {
    return new SystemDns(clock, control.list('dnsservers') ?? [], checkQueryLimits)
  } catch (error) {
    // Exiting would keep smtpd from starting, and stop all mail.
    log(`alert: control/dnsservers: ${describeError(error)}; the system's name servers are asked instead`)
    return new SystemDns(clock, [], checkQueryLimits)
  }
}

async function stop(): Promise<void> {
  for (const questions of served) questions.close()
  greylist.close()
  reports.close()
  queue.close()
}
