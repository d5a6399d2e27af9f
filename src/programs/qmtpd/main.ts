/** qmtpd: takes mail by QMTP, or by QMQP, from clients that may relay, and hands it to the queue. Runs only with
 *  control/listen-qmtp or listen-qmqp.
 *  Touches: control/ (reads), the queue's socket `queue-network`, `exec` for filters, `policy` for names.
 *  Never:   admits a client without RELAYCLIENT: mail of strangers needs smtpd's checks, which are missing here.
 *  Fails:   without the queue every message is deferred; nothing is stored here.
 *  With `--once` it is qmail-qmtpd or qmail-qmqpd: one session, on descriptors 0 and 1. */
import { resolve as resolvePath } from 'node:path'
import { parseArgs } from 'node:util'
import { ContentBudget } from '../../clients/queue/content-budget.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { enqueuerByExec, type FilterTools } from '../../clients/queue/filter-chain.ts'
import { PolicyClient } from '../../clients/policy/policy-client.ts'
import { relayServices, services } from '../../contracts/services.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import { admitTo } from '../../servers/listener/admission.ts'
import { goesByName, nameOf } from '../../servers/listener/client-name.ts'
import { type Admitted, Connections } from '../../servers/listener/connections.ts'
import type { Host, Known, Peer } from '../../servers/listener/peer.ts'
import { Control, controlBytesMax } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { defaultRelayClients } from '../../stores/tcprules/decision.ts'
import { RulesFile } from '../../stores/tcprules/rules-file.ts'
import { Acceptor } from '../../system/acceptor.ts'
import { realClock as clock } from '../../system/clock.ts'
import { readSmallFile } from '../../system/files.ts'
import { connectPath, connectUnread } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { SocketOwners } from '../../system/socket-owners.ts'
import { supervised } from '../../system/supervised.ts'
import { RelayDialogue } from './dialogue.ts'
import { limits } from './limits.ts'
import { serveOnce } from './once.ts'
import { relaySetting } from './relay-setting.ts'

const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    listen: { type: 'string', default: '' },
    demo: { type: 'boolean' },
    service: { type: 'string', default: '' },
    once: { type: 'boolean' },
  },
})
const named = relayServices.find((name) => name === values.service)
const home = homeAt(values.home ?? '.')
if (values.once === true && named !== undefined) await serveOnce(home, named)
const log = openLog(named === undefined ? 'qmtpd' : services[named].program)
const warn = (problem: string): void => log(`warning: ${problem}`)
const supervisor = supervised(
  log,
  { stop, troubles: () => controlTroubles(control, tag), counts: () => connections.counts },
  values.listen.split(','),
)
const service = named ?? supervisor.fail(`--service is one of ${relayServices.join(', ')}`)
const { program: tag, rules: rulesName } = services[service]
const control = new Control(home.control, clock, warn)
control.demandFor(tag, supervisor.fail)
/** Limits content in memory: larger messages are gathered in files. */
const budget = new ContentBudget(limits.contentBytesInFlightMax)
const queueSocket = socketPath(home, 'queue-network')
const queue = new EnqueueClient(
  () => connectPath(queueSocket),
  clock,
  budget,
  () => connectUnread(queueSocket),
)
const names = new PolicyClient(() => connectPath(socketPath(home, 'policy')), clock)
const rules = new RulesFile(home, rulesName, clock, warn)
const proxies = new NetworkList('proxyclients', () => control.list('proxyclients'), warn)
const relays = new NetworkList('relayclients', () => control.list('relayclients') ?? defaultRelayClients, warn)
const host: Host = { me: control.optionalLine('me'), mayRelay: (ip) => relays.has(ip) }
const execTools = { connectExec: () => connectPath(socketPath(home, 'exec')), clock, budget }
const filterTools: FilterTools = {
  queue,
  programs: (order) => enqueuerByExec(execTools, order),
  clock,
  signatures: () => control.list('signatures') ?? [],
  readFile: (name) => readSmallFile(resolvePath(home.path, name), controlBytesMax),
}
const owners = new SocketOwners(clock)
/** Never given a certificate: these protocols have no TLS. */
const noTls = new ServerTls()
const listenerLimits = { ...limits, connectionsPerPeerMax: control.number('concurrencyperip') }
const connections = new Connections(listenerLimits, clock, log, { isProxy, settingFor, say: () => '' })
const acceptor = new Acceptor([...supervisor.listeners.values()], (socket) => connections.accept(socket), clock, log)
await acceptor.listening()
supervisor.ready()

function isProxy(ip: string): boolean {
  control.refresh()
  return proxies.has(ip)
}

function settingFor(peer: Peer): Admitted | Promise<Admitted> {
  const inForce = rules.current()
  const asked = goesByName(inForce) ? nameOf(peer.remoteIp, inForce, names) : undefined
  return asked === undefined ? settingOf(peer, {}) : asked.then(({ known }) => settingOf(peer, known))
}

function settingOf(peer: Peer, known: Known): Admitted {
  const { verdict, environment, finding } = admitTo(rulesName, peer, host, rules.current(), known)
  const mayRelay = environment.has('RELAYCLIENT')
  if (verdict !== 'allow' || !mayRelay)
    return { turnedAway: verdict === 'unknown' ? 'unknown' : 'deny', environment, finding }
  const listener = {
    environment,
    limits,
    clock,
    log,
    tls: noTls,
    protocol: service,
    implicitTls: false,
    say: () => '',
    clientFirst: true,
  } as const
  const relay = relaySetting({ form: service, control, log, filterTools, owners }, environment, process.env)
  return { ...listener, open: (port) => new RelayDialogue(relay, port) }
}

async function stop(): Promise<void> {
  acceptor.close()
  await connections.stop()
  queue.close()
  names.close()
}
