/** policy: answers smtpd and the command line about clients: SPF, DNS lists, greylisting. Runs as qmailc.
 *  Touches: control/me and control/dnsservers (reads), HOME/greylist, the DNS.
 *  Never:   sees content, refuses mail, connects to a program of ours.
 *  Fails:   a question without an answer is answered so; mail goes on as if it had not been asked. */
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import type { PolicyAnswer, PolicyRequest } from '../../contracts/policy.ts'
import { Control } from '../../stores/control/control.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { DailyAlert } from './daily-alert.ts'
import { DnsblCheck } from './dnsbl-check.ts'
import { GreylistCheck } from './greylist-check.ts'
import { dnsPatience } from './limits.ts'
import { Questions } from './questions.ts'
import { SpfCheck } from './spf-check.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const log = openLog('policy')
const home = homeAt(values.home ?? '.')
const clock = realClock
process.umask(0o077)

const program = supervised(log, { stop }, values.listen?.split(',') ?? ['policy'])
const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const alerts = new DailyAlert(clock, log)
const onTrouble = (topic: string, text: string): void => alerts.tell(topic, text)

const dns = openDns()
const spf = new SpfCheck({ dns, clock, random: realRandom, receiver: control.optionalLine('me') ?? 'unknown' })
const dnsbl = new DnsblCheck({ dns, clock, onTrouble })
const greylist = new GreylistCheck({ directory: home.greylist, clock, onTrouble })

const fd = program.listeners.get('policy') ?? program.fail('--listen policy is missing')
const questions = new Questions(fd, { clock, log, answer })
await questions.listening()
program.ready()

async function answer(request: PolicyRequest): Promise<PolicyAnswer> {
  switch (request.kind) {
    case 'spf':
      return await spf.answer(request)
    case 'dnsbl':
      return await dnsbl.answer(request)
    case 'greylist':
      return greylist.answer(request)
  }
}

function openDns(): SystemDns {
  try {
    return new SystemDns(clock, control.list('dnsservers') ?? [], dnsPatience)
  } catch (error) {
    // Not to start would keep smtpd from starting, and mail out.
    log(`alert: control/dnsservers: ${describeError(error)}; the system's name servers are asked instead`)
    return new SystemDns(clock, [], dnsPatience)
  }
}

async function stop(): Promise<void> {
  questions.close()
  greylist.close()
}
