/** smtpd: accepts mail from the network and hands it to the queue. With `--once` it is qmail-smtpd: one session, on descriptors
 *  0 and 1.
 *  Touches: control/ (reads), the queue's socket `queue-network`, or the program that QMAILQUEUE names.
 *  Never:   the queue's files, users, keys on disk (certificate and key come from `start` as bytes).
 *  Fails:   without the queue every message is deferred with 451; nothing is stored here. */
import { existsSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { parseArgs } from 'node:util'
import type { ByteString } from '../../base/byte-string.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { enqueuerByExec } from '../../clients/queue/filter-chain.ts'
import { ExecuteClient } from '../../clients/execute/client.ts'
import { PolicyClient } from '../../clients/policy/policy-client.ts'
import { RecipientClient } from '../../clients/recipients/recipient-client.ts'
import { Control, controlBytesMax } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { routingFiles, routingTables } from '../../stores/control/routing-tables.ts'
import { readSmallFile } from '../../system/files.ts'
import { RulesFile } from '../../stores/tcprules/rules-file.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { Acceptor } from '../../system/acceptor.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, connectUnread, serveDescriptor } from '../../system/frame-connection.ts'
import { announcedEnds, type XclientValues } from '../../protocols/smtp/xclient.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { formatReply, replies, type Reply } from '../../protocols/smtp/replies.ts'
import { Session } from './session.ts'
import type { Announce, SessionSetting } from './session-setting.ts'
import { descriptorsMax } from '../../system/descriptors.ts'
import { openLog } from '../../system/log.ts'
import type { TlsOrder } from '../../contracts/supervise.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { SocketOwners } from '../../system/socket-owners.ts'
import { supervised } from '../../system/supervised.ts'
import { admit } from '../../servers/listener/admission.ts'
import { nameOf } from '../../servers/listener/client-name.ts'
import { type Admitted, Connections } from '../../servers/listener/connections.ts'
import { ContentBudget } from '../../clients/queue/content-budget.ts'
import { serveExplain } from './admin.ts'
import { authenticating } from './authentication.ts'
import { type ExplainRequest, type ExplainStep, Explanation } from './explain.ts'
import type { Finding } from '../../servers/listener/finding.ts'
import { Gates } from './gates.ts'
import { limits, type Limits } from './limits.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import type { Known, Peer } from '../../servers/listener/peer.ts'
import { PolicySource } from './policy-source.ts'
import { serveOnce } from './once.ts'
import { relayerIn } from '../../servers/listener/relayer.ts'
import { ReplyRulesSource } from './reply-rules.ts'
import { SessionSettings } from './session-settings.ts'
import type { ConnectionSetting } from '../../servers/listener/dialogue.ts'

/** Descriptors beyond the counted connections: closing ones, proxies, files, sockets, the acceptor's reserve. */
const spareDescriptors = 256
/** For plug-ins to finish in when smtpd stops. */
const plugInsStopMilliseconds = 1_000

const log = openLog('smtpd')
const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    listen: { type: 'string' },
    demo: { type: 'boolean' },
    once: { type: 'boolean' },
  },
})
const home = homeAt(values.home ?? '.')
if (values.once === true) await serveOnce(home)
const clock = realClock
const budget = new ContentBudget(limits.contentBytesInFlightMax)
const warn = (problem: string): void => log(`warning: ${problem}`)
const queueSocket = socketPath(home, 'queue-network')
const queue = new EnqueueClient(
  () => connectPath(queueSocket),
  clock,
  budget,
  () => connectUnread(queueSocket),
)
const serverTls = new ServerTls('opportunistic')

const supervisor = supervised(
  log,
  { stop, tls, reload, troubles: () => controlTroubles(control, 'smtpd'), counts: () => connections.counts },
  values.listen?.split(',') ?? ['smtp'],
)
const control = new Control(home.control, clock, warn)
if (control.optionalLine('me') === undefined && !control.isPresent('smtpgreeting')) {
  supervisor.fail('unable to read controls: neither control/me nor control/smtpgreeting is there')
}
const policies = new PolicySource(control, clock, warn)
let tables = routingTables(control)
const executor = new ExecuteClient(() => connectPath(socketPath(home, 'exec')), clock)
const policyClient = new PolicyClient(() => connectPath(socketPath(home, 'policy')), clock)
const recipients = new RecipientClient(() => connectPath(socketPath(home, 'lspawn-recipients')), clock)
const gates = new Gates({
  control,
  clock,
  log,
  executor,
  readFile: homeFile,
  policy: policyClient,
  recipients: existsSync(socketPath(home, 'lspawn-recipients')) ? recipients : undefined,
  contentChecks: [authenticating({ control, clock, policy: policyClient })],
  tables: () => tables,
  queue,
})
const owners = new SocketOwners(clock)
const execTools = { connectExec: () => connectPath(socketPath(home, 'exec')), clock, budget }
const settings = new SessionSettings({
  control,
  clock,
  log,
  budget,
  gates,
  filterTools: {
    queue,
    programs: (order) => enqueuerByExec(execTools, order),
    clock,
    signatures: () => control.list('signatures') ?? [],
    readFile: homeFile,
  },
  replyRules: new ReplyRulesSource(control, log),
  variables: process.env,
  relayerOf: (variables) => relayerIn(variables, owners),
  tlsAvailable: () => serverTls.available,
})
const rules = new RulesFile(home, 'smtp', clock, warn)
const proxies = new NetworkList('proxyclients', () => control.list('proxyclients'), warn)
const trusted = new NetworkList('xclients', () => control.list('xclients'), warn)
const connectionLimits: Limits = {
  ...limits,
  connectionsMax: control.number('concurrencyincoming'),
  connectionsPerPeerMax: control.number('concurrencyperip'),
}
const descriptors = descriptorsMax()
if (descriptors !== undefined && connectionLimits.connectionsMax > descriptors - spareDescriptors)
  warn(
    `control/concurrencyincoming allows ${connectionLimits.connectionsMax} connections, but a process here may have ${descriptors} descriptors: raise the hard limit (ulimit -Hn, LimitNOFILE=)`,
  )
const connections = new Connections(connectionLimits, clock, log, {
  isProxy,
  settingFor,
  say: sayPlainly,
})
const adminFd = supervisor.listeners.get('smtpd-admin')
const adminServer =
  adminFd === undefined ? undefined : serveDescriptor(adminFd, (socket) => serveExplain(socket, explain, clock))
const smtpFds = [...supervisor.listeners.values()].filter((fd) => fd !== adminFd)
const acceptor = new Acceptor(smtpFds, (socket) => connections.accept(socket), clock, log)
await acceptor.listening()
supervisor.ready()

/** Runs the server's own code for a client that does not exist. */
async function* explain(request: ExplainRequest): AsyncGenerator<ExplainStep> {
  const ip = parseIp(request.ip)?.toString()
  if (ip === undefined) throw new Error(`'${request.ip}' is no IP address`)
  const peer = { remoteIp: ip, remotePort: 0, localIp: '127.0.0.1', localPort: 25 }
  const policy = policies.current()
  const named = await nameOf(ip, rules.current(), policyClient)
  const findings: Finding[] = named === undefined ? [] : [named.finding]
  const { verdict, environment, finding } = admit(peer, policy, rules.current(), named?.known)
  findings.push(finding)
  if (verdict !== 'allow') {
    const reply = verdict === 'deny' ? '' : sayPlainly(replies.unreadableControls).trimEnd()
    yield { command: '', reply, closes: true, findings }
    return
  }
  const gate = gates.openTelling(environment, (found) => findings.push(found))
  // No log: programs that count refusals by address would count one that never happened.
  const setting = { ...settings.with(policy, environment), gate, log: () => undefined }
  const controls = control.unread('smtpd').join('; ') || 'control/fixsmtpio'
  yield* new Explanation(setting, findings, { environment: finding.rule, controls }, (variables) =>
    settings.filtersOf(variables),
  ).steps(request)
}

/** Refreshed before any admission: otherwise a wrong line in proxyclients could keep out every client, and never be read
 *  again. */
function isProxy(ip: string): boolean {
  policies.current()
  return proxies.has(ip)
}

function settingFor(peer: Peer): Admitted | Promise<Admitted> {
  const asked = nameOf(peer.remoteIp, rules.current(), policyClient)
  return asked === undefined ? settingOf(peer, {}) : asked.then(({ known }) => settingOf(peer, known))
}

function settingOf(peer: Peer, known: Known): Admitted {
  const policy = policies.current()
  const { verdict, environment, finding } = admit(peer, policy, rules.current(), known)
  if (verdict !== 'allow') return { turnedAway: verdict, environment, finding }
  const announce = trusted.has(peer.remoteIp) ? (client: XclientValues) => announced(client, peer, known) : undefined
  return connectionSetting({ ...settings.with(policy, environment), announce })
}

function connectionSetting(setting: SessionSetting): ConnectionSetting {
  const { environment } = setting
  const listener = { environment, limits, clock, log, tls: serverTls, protocol: 'smtp', implicitTls: false }
  return { ...listener, say: sayPlainly, open: (port) => new Session(setting, port) }
}

/** Before EHLO. */
function sayPlainly(reply: Reply): string {
  return formatReply(reply, false)
}

/** Admits the client that a trusted peer announced as if it had connected itself, but without GREETDELAY. */
function announced(client: XclientValues, announcing: Peer, ofAnnouncing: Known): ReturnType<Announce> {
  const peer = announcedEnds(announcing, client)
  // For another address no name is known.
  const kept = client.has('NAME') || client.has('ADDR') ? { host: client.get('NAME') } : ofAnnouncing
  const known = { ...kept, info: client.get('LOGIN') }
  const { verdict, environment } = admit(peer, policies.current(), rules.current(), known)
  return verdict === 'allow' ? { environment, gate: gates.open(environment), announce: undefined } : 'denied'
}

function homeFile(name: ByteString): Buffer | undefined {
  return readSmallFile(resolvePath(home.path, name), controlBytesMax)
}

function reload(): void {
  control.reload(routingFiles)
  tables = routingTables(control) ?? tables
}

function tls(order: TlsOrder): void {
  const fault = serverTls.give(order)
  if (fault !== undefined) log(`alert: the new certificates cannot be used, those before stay: ${fault}`)
}

async function stop(): Promise<void> {
  acceptor.close()
  adminServer?.close()
  // A hanging plug-in must not delay the stop: exec kills our programs, and the client gets 451.
  const cancel = clock.after(plugInsStopMilliseconds, () => executor.close())
  await connections.stop()
  cancel()
  queue.close()
  executor.close()
  policyClient.close()
  recipients.close()
}
