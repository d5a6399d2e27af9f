/** login: the front of submission or of POP3: TLS, the commands before a login, and then a relay to the user's own process.
 *  Touches: control/ (reads), the sockets `authd`, `lspawn-login` and `policy-names`, and the one that a ticket leads to.
 *  Never:   a password hash, a mailbox, the queue; a session's bytes are relayed unread.
 *  Fails:   without authd logins fail temporarily; running sessions go on. */
import { type Counts, sumOf } from '../../contracts/counts.ts'
import { parseArgs } from 'node:util'
import { AuthClient } from '../../clients/auth/auth-client.ts'
import { PolicyClient } from '../../clients/policy/policy-client.ts'
import { SessionClient } from '../../clients/sessions/session-client.ts'
import { findListener, loginServices, services } from '../../contracts/services.ts'
import type { TlsOrder } from '../../contracts/supervise.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import { admitTo } from '../../servers/listener/admission.ts'
import { ConnectionCounts } from '../../servers/listener/connection-counts.ts'
import { goesByName, nameOf } from '../../servers/listener/client-name.ts'
import { type Admitted, Connections, type Entrance } from '../../servers/listener/connections.ts'
import type { Environment, Host, Known, Peer } from '../../servers/listener/peer.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { RulesFile } from '../../stores/tcprules/rules-file.ts'
import { Acceptor } from '../../system/acceptor.ts'
import { realClock as clock } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { giveWay } from '../../system/priority.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { supervised } from '../../system/supervised.ts'
import { limits } from './limits.ts'
import { LoginDialogue } from './login-dialogue.ts'
import { fronts } from './fronts.ts'

/** Handshakes are expensive, and any client may ask for one: mail on port 25 has priority. */
const nice = 5

giveWay(nice)
const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    listen: { type: 'string', default: '' },
    demo: { type: 'boolean' },
    service: { type: 'string', default: '' },
  },
})
const named = loginServices.find((name) => name === values.service)
const log = openLog(named === undefined ? 'login' : services[named].program)
const home = homeAt(values.home ?? '.')
const warn = (problem: string): void => log(`warning: ${problem}`)
const tls = new ServerTls()
let listeners: readonly { readonly connections: Connections; readonly acceptor: Acceptor }[] = []
let certify = (): void => undefined
const certified = new Promise<void>((resolve) => {
  certify = resolve
})
const supervisor = supervised(
  log,
  { stop, tls: useTls, troubles: () => controlTroubles(control, tag), counts },
  values.listen.split(','),
)
const service = named ?? supervisor.fail(`--service is one of ${loginServices.join(', ')}`)
const { program: tag, rules: rulesName, login } = services[service]
const { triesMax, say, open } = fronts[service]
const control = new Control(home.control, clock, warn)
control.demandFor(tag, supervisor.fail)
if (control.optionalLine('me') === undefined) supervisor.fail('unable to read controls: control/me is not there')
const auth = new AuthClient(() => connectPath(socketPath(home, 'authd')), clock)
const sessions = new SessionClient(() => connectPath(socketPath(home, 'lspawn-login')), clock)
const policy = new PolicyClient(() => connectPath(socketPath(home, 'policy-names')), clock)
const rules = new RulesFile(home, rulesName, clock, warn)
const proxies = new NetworkList('proxyclients', () => control.list('proxyclients'), warn)
const host: Host = { me: control.optionalLine('me'), mayRelay: () => false }
const listenerLimits = {
  ...limits,
  connectionsMax: control.number(`concurrency${service}`),
  connectionsPerPeerMax: control.number('concurrencyperip'),
}
/** Of both ports together. */
const places = new ConnectionCounts(listenerLimits, clock)
// Until there is a certificate, clients wait in the backlog.
await certified
// Until authd has answered, there is no mechanism to offer.
await auth.heard()
listeners = [...supervisor.listeners].map(([name, fd]) => {
  // `pop3s-2` is the second address of pop3s.
  const isImplicit = findListener(name.replace(/-\d+$/, ''))?.tls === 'TLS'
  const connections = new Connections(listenerLimits, clock, log, entranceOf(isImplicit), places)
  return { connections, acceptor: new Acceptor([fd], (socket) => connections.accept(socket), clock, log) }
})
await Promise.all(listeners.map(({ acceptor }) => acceptor.listening()))
supervisor.ready()

function entranceOf(isImplicit: boolean): Entrance {
  return {
    isProxy,
    settingFor: (peer) => settingFor(peer, isImplicit),
    // Before the handshake no text can be sent.
    say: isImplicit ? () => '' : say,
  }
}

/** Of both ports together. */
function counts(): Counts {
  return sumOf(listeners.map(({ connections }) => connections.counts))
}

/** Refreshed before any admission: otherwise a wrong line in proxyclients could keep out every client, and never be read
 *  again. */
function isProxy(ip: string): boolean {
  control.refresh()
  return proxies.has(ip)
}

/** The name is needed for rules only: if no rule uses names, the lookup is skipped. */
function settingFor(peer: Peer, isImplicit: boolean): Admitted | Promise<Admitted> {
  const inForce = rules.current()
  const asked = goesByName(inForce) ? nameOf(peer.remoteIp, inForce, policy) : undefined
  return asked === undefined
    ? settingOf(peer, isImplicit, {})
    : asked.then(({ known }) => settingOf(peer, isImplicit, known.isUnproven === true ? {} : known))
}

function settingOf(peer: Peer, isImplicit: boolean, known: Known): Admitted {
  const { verdict, environment, finding } = admitTo(rulesName, peer, host, rules.current(), known)
  if (verdict !== 'allow') return { turnedAway: verdict, environment, finding }
  const connection = { environment, limits, clock, log, tls, protocol: login.alpn, implicitTls: isImplicit, say }
  return { ...connection, open: (port) => new LoginDialogue(loginSetting(peer, environment), port) }
}

function loginSetting(peer: Peer, environment: Environment) {
  const protocol = open(control, environment)
  return { clock, log, limits, auth, sessions, environment, peer, service, protocol, triesMax }
}

function useTls(order: TlsOrder): void {
  const fault = tls.give(order)
  if (fault === undefined) certify()
  else log(`alert: the new certificates cannot be used, those before stay: ${fault}`)
}

async function stop(): Promise<void> {
  for (const { acceptor } of listeners) acceptor.close()
  sessions.closing(service)
  await Promise.all(listeners.map(({ connections }) => connections.stop()))
  auth.close()
  sessions.close()
  policy.close()
}
