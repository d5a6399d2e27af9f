/** remote: takes attempts from the queue and delivers them to other hosts by SMTP.
 *  May touch: control/ (read), HOME/run/queue-remote.sock, the network. Runs as qmailr. */
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { ConnectionPool } from '../../clients/smtp/connection-pool.ts'
import { DeadHosts } from '../../clients/smtp/dead-hosts.ts'
import { Deadlines } from '../../clients/smtp/deadlines.ts'
import { MailExchangers } from '../../clients/smtp/mail-exchangers.ts'
import { TlsContexts } from '../../clients/smtp/tls-plan.ts'
import type { OpenContent } from '../../clients/smtp/transaction.ts'
import type { Attempt } from '../../contracts/deliver.ts'
import { Control } from '../../stores/control/control.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { TlsHosts } from '../../stores/control/tls-hosts.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { type Delivered, deliver, type Equipment } from './delivery.ts'
import { fetchContent } from './fetched-content.ts'
import { HostShares } from './host-shares.ts'
import { QueueLink } from './queue-link.ts'
import { readSettings } from './settings.ts'
import { WaryHosts } from './wary-hosts.ts'

/** Attempts held at once; how many of them the queue gives is control/concurrencyremote. */
const capacity = 300

const { values } = parseArgs({
  options: { home: { type: 'string' }, demo: { type: 'boolean' }, listen: { type: 'string' } },
})
const log = openLog('remote')
const home = homeAt(values.home ?? '.')
const control = new Control(home.control, realClock, (problem) => log(`warning: ${problem}`))
const tlsHosts = new TlsHosts(home.control, realClock, (problem) => log(`warning: ${problem}`))
const pool = new ConnectionPool(realClock)
const connectQueue = () => connectPath(socketPath(home, 'queue-remote'))

const program = supervised(log, {
  async stop() {
    await link.stop()
    pool.close()
  },
  troubles: () => [...dns.troubles(), ...controlTroubles(control, 'remote')],
})
control.demandFor('remote', program.fail)
if (control.optionalLine('helohost') === undefined) program.fail('control/me and control/helohost are missing')

const dns = openDns()
const deadHosts = new DeadHosts(realClock, realRandom)
const ownAddresses = new OwnAddresses(
  control,
  interfaceAddressReader(() => realClock.monotonic()),
  (problem) => log(`warning: ${problem}`),
)
const equipment: Equipment = {
  exchangers: new MailExchangers({
    dns,
    random: realRandom,
    isOurs: (address) => ownAddresses.has(address),
    isDead: (address) => deadHosts.isDead(address),
  }),
  deadlines: new Deadlines(realClock),
  pool,
  deadHosts,
  hostShares: new HostShares(realClock),
  clearHosts: new WaryHosts('TLS', realClock, log),
  patientHosts: new WaryHosts('PIPELINING', realClock, log),
  log,
  contexts: new TlsContexts((problem) => log(`warning: ${problem}`)),
}

async function handle(attempt: Attempt): Promise<Delivered> {
  const { sender, recipients, params, contentBytes } = attempt
  // The frame's bytes are only lent to us.
  const inline = attempt.content === undefined ? undefined : Buffer.from(attempt.content)
  const content: OpenContent = () =>
    inline === undefined ? fetchContent(attempt, connectQueue, realClock, log) : [inline]
  return await deliver(
    { sender, recipients, params, contentBytes },
    content,
    readSettings(control, tlsHosts),
    equipment,
  )
}

const link = new QueueLink({ connect: connectQueue, clock: realClock, log, capacity, handle })
await link.start()
program.ready()

function openDns(): SystemDns {
  try {
    return new SystemDns(realClock, control.list('dnsservers') ?? [])
  } catch (error) {
    return program.fail(`control/dnsservers: ${describeError(error)}`)
  }
}
