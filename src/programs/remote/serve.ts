/** Takes attempts from the queue until it is told to stop. */
import { Correspondents } from '../../clients/policy/correspondents.ts'
import type { OpenContent } from '../../clients/smtp/transaction.ts'
import type { Attempt } from '../../contracts/deliver.ts'
import { Control } from '../../stores/control/control.ts'
import { reportAddress } from '../../stores/control/report-address.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { TlsHosts } from '../../stores/control/tls-hosts.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { DayFiles } from '../../stores/tls-reports/day-files.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { type Delivered, deliver } from './delivery.ts'
import { equip } from './equipment.ts'
import { fetchContent } from './fetched-content.ts'
import { QueueLink } from './queue-link.ts'
import { refreshPolicies } from './policy-refresh.ts'
import { readSettings } from './settings.ts'
import { TlsCounter } from './tls-counter.ts'
import { deliverByProgram } from './wrapper.ts'

/** Attempts held at once; how many of them the queue gives is control/concurrencyremote. */
const capacity = 300

export async function serve(home: Home): Promise<void> {
  const log = openLog('remote')
  const warn = (problem: string): void => log(`warning: ${problem}`)
  const control = new Control(home.control, realClock, warn)
  const tlsHosts = new TlsHosts(home.control, realClock, warn)
  const connectQueue = () => connectPath(socketPath(home, 'queue-remote'))
  const program = supervised(log, {
    async stop() {
      await link.stop()
      correspondents.close()
      await counter.write()
      equipment.pool.close()
    },
    troubles: () => [...dns.troubles(), ...controlTroubles(control, 'remote')],
  })
  control.demandFor('remote', program.fail)
  const counter = new TlsCounter(new DayFiles(realFiles, home), realClock, log)
  if (control.optionalLine('helohost') === undefined) program.fail('control/me and control/helohost are missing')
  const { equipment, dns, stsPolicies, keptPolicies } = equip(
    home,
    control,
    log,
    (fact) => counter.count(fact),
    program.fail,
  )

  const correspondents = new Correspondents({
    clock: realClock,
    connect: () => connectPath(socketPath(home, 'policy-sent')),
    reportAddress: () => reportAddress(home, control),
  })

  async function handle(attempt: Attempt): Promise<Delivered> {
    const { sender, recipients } = attempt
    const delivered = await attemptTo(attempt)
    const taken = delivered === 'crowded' ? -1 : delivered.findIndex((status) => status.class === 2)
    const recipient = recipients[taken]
    if (recipient !== undefined) correspondents.met(sender, recipient.slice(recipient.lastIndexOf('@') + 1))
    return delivered
  }

  async function attemptTo(attempt: Attempt): Promise<Delivered> {
    const { sender, recipients, params, contentBytes } = attempt
    // Copied: the frame's buffer is reused.
    const inline = attempt.content === undefined ? undefined : Buffer.from(attempt.content)
    const content: OpenContent = () =>
      inline === undefined ? fetchContent(attempt, connectQueue, realClock, log) : [inline]
    const wrapper = process.env['QMAILREMOTE']
    if (wrapper !== undefined && wrapper !== '') {
      const tools = { program: wrapper, home: home.path, clock: realClock, random: realRandom, log }
      return await deliverByProgram({ sender, recipients }, content, tools)
    }
    return await deliver(
      { sender, recipients, params, contentBytes },
      content,
      readSettings(control, tlsHosts),
      equipment,
    )
  }

  const link = new QueueLink({ connect: connectQueue, clock: realClock, log, capacity, handle })
  await counter.open()
  await link.start()
  refreshPolicies({ policies: stsPolicies, kept: keptPolicies, clock: realClock, random: realRandom, log })
  program.ready()
}
