/** smtpd: takes mail from the network and hands it to the queue.
 *  Touches: control/ (reads), the queue's socket `queue-network`, or the program that QMAILQUEUE names.
 *  Never:   the queue's files, users, keys on disk (certificate and key come from `start` as bytes).
 *  Fails:   without the queue every message is deferred with 451; nothing is kept here. */
import { constants } from 'node:crypto'
import { parseArgs } from 'node:util'
import { createSecureContext, type SecureContext } from 'node:tls'
import { describeError } from '../../base/outcome.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { ProgramTaker } from '../../clients/queue/program.ts'
import type { Taker } from '../../clients/queue/taker.ts'
import { Control } from '../../stores/control/control.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, serveDescriptor } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { supervised } from '../../system/supervised.ts'
import { Connections } from './connections.ts'
import { ContentBudget } from './content.ts'
import { limits } from './limits.ts'
import { connectionEnvironment, type Environment, type Peer } from './peer.ts'
import { PolicySource } from './policy-source.ts'
import type { ConnectionSetting } from './connection.ts'

const log = openLog('smtpd')
const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const home = homeAt(values.home ?? '.')
const clock = realClock
const budget = new ContentBudget(limits.contentBytesInFlightMax)
const warn = (problem: string): void => log(`warning: ${problem}`)
const queue = new EnqueueClient(() => connectPath(socketPath(home, 'queue-network')), clock)
let secureContext: SecureContext | undefined

const supervisor = supervised(log, { stop, tls }, values.listen?.split(',') ?? ['smtp'])
const control = new Control(home.control, clock, warn)
if (control.optionalLine('me') === undefined && !control.isPresent('smtpgreeting')) {
  supervisor.fail('unable to read controls: neither control/me nor control/smtpgreeting is there')
}
const policies = new PolicySource(control, clock, warn)
const connections = new Connections(limits, clock, log, settingFor)
const servers = [...supervisor.listeners.values()].map((fd) =>
  serveDescriptor(fd, (socket) => connections.accept(socket)),
)
await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.once('listening', resolve))))
supervisor.ready()

function settingFor(peer: Peer): ConnectionSetting {
  const policy = policies.current()
  return {
    policy,
    environment: connectionEnvironment(peer, policy),
    limits,
    clock,
    budget,
    log,
    takerFor,
    tlsAvailable: () => secureContext !== undefined,
    secureContext: () => secureContext,
  }
}

/** QMAILQUEUE counts if it exists, even empty. */
function takerFor(environment: Environment): Taker {
  const program = environment.get('QMAILQUEUE') ?? process.env['QMAILQUEUE']
  return program === undefined ? queue : new ProgramTaker(program, home.path, Object.fromEntries(environment), clock)
}

function tls(certificatePem: string, keyPem: string): void {
  try {
    secureContext = createSecureContext({
      cert: certificatePem,
      key: keyPem,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
    })
  } catch (error) {
    log(`alert: the new certificate cannot be used, the one before stays: ${describeError(error)}`)
  }
}

async function stop(): Promise<void> {
  for (const server of servers) server.close()
  await connections.stop()
  queue.close()
}
