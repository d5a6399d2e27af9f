/** qmail-smtpd(8): one session with the client on descriptors 0 and 1, started by tcpserver or its kin, in the environment of
 *  their rules. The same session, checks and limits as smtpd's, run as the caller's uid.
 *  Knows:  which running programs the caller may ask: smtpd's account all, other accounts only the queue.
 *  Never:  uses keys (the program that accepted the connection has them, and makes the handshake: UCSPI-TLS), or
 *          control/tcprules and relayclients: only RELAYCLIENT in the environment counts.
 *  Fails:  421 without control files, as qmail-smtpd; checks whose program may not be asked are skipped. */
import { OwnExecutor } from '../../clients/execute/own-executor.ts'
import { type NotAnswered, PolicyClient } from '../../clients/policy/policy-client.ts'
import { ContentBudget } from '../../clients/queue/content-budget.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { RecipientClient } from '../../clients/recipients/recipient-client.ts'
import { formatReply, replies } from '../../protocols/smtp/replies.ts'
import { callerFilterTools, mayConnect, queueSocketOf } from '../../servers/descriptors/caller-queue.ts'
import { inheritedEnvironment } from '../../servers/descriptors/environment.ts'
import { type SecuredStream, serveStream } from '../../servers/descriptors/session-on-stream.ts'
import type { Environment } from '../../servers/listener/peer.ts'
import { Control } from '../../stores/control/control.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import { type Home, type SocketName, socketPath } from '../../stores/home/layout.ts'
import { realClock as clock } from '../../system/clock.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { Launcher } from '../../system/launcher.ts'
import { flushLog, type Log, openLog } from '../../system/log.ts'
import { SocketOwners } from '../../system/socket-owners.ts'
import { isErrorOutputApart, isFromNetwork, standardStream } from '../../system/standard-stream.ts'
import { ucspiTls } from '../../system/ucspi-tls.ts'
import { authenticating } from './authentication.ts'
import { Gates } from './gates.ts'
import { limits } from './limits.ts'
import { PolicySource } from './policy-source.ts'
import { relayerIn } from '../../servers/listener/relayer.ts'
import { ReplyRulesSource } from './reply-rules.ts'
import { Session } from './session.ts'
import { SessionSettings } from './session-settings.ts'

const hungUp = 1
const notAsked: NotAnswered = { answered: false, why: 'not for this account to ask' }
const unasked = {
  spf: () => Promise.resolve(notAsked),
  dnsbl: () => Promise.resolve(notAsked),
  greylist: () => Promise.resolve(notAsked),
}
/** Plug-ins, and filters, of this one session. */
const programsMax = 4

/** Ends the process: with 0 if the client sent QUIT, else 1. */
export async function serveOnce(home: Home): Promise<never> {
  const stream = standardStream()
  const log: Log = isErrorOutputApart() ? openLog('qmail-smtpd') : () => undefined
  const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
  const isNameless = control.optionalLine('me') === undefined && !control.isPresent('smtpgreeting')
  if (isNameless || control.unread('smtpd').length > 0) {
    log(
      `unable to read controls: ${control.unread('smtpd').join('; ') || 'neither control/me nor control/smtpgreeting'}`,
    )
    await new Promise<void>((resolve) => stream.end(formatReply(replies.unreadableControls, false), resolve))
    return leave(hungUp)
  }
  const launcher = new Launcher(clock, log, home.path, programsMax)
  const environment = inheritedEnvironment(process.env)
  const secure = handshakes(environment)
  const policy = new PolicySource(control, clock, (problem) => log(`warning: ${problem}`)).current()
  const setting = {
    ...settingsOf(home, control, launcher, log).with(policy, environment),
    tlsAvailable: () => secure !== undefined,
    // A person, or a script that sends everything at once, need not wait; clients from the network must.
    mustWaitForReplies: isFromNetwork(stream),
  }
  const end = await serveStream(stream, { limits, clock, secure, log }, (port) => new Session(setting, port))
  launcher.killAll()
  return leave(end === 'goodbye' ? 0 : hungUp)
}

/** By the TLS helper of the program that accepted the connection, if there is one. */
function handshakes(environment: Environment): (() => Promise<SecuredStream>) | undefined {
  const begin = ucspiTls(environment, clock, limits.handshakeMillisecondsMax)
  if (begin === undefined) return undefined
  return async () => {
    const { stream, variables } = await begin()
    return { stream, version: variables.get('SSL_PROTOCOL') ?? 'TLS', cipher: variables.get('SSL_CIPHER') ?? 'unknown' }
  }
}

function settingsOf(home: Home, control: Control, launcher: Launcher, log: Log): SessionSettings {
  const connect = (name: SocketName) => () => connectPath(socketPath(home, name))
  const mayAskPolicy = mayConnect(home, 'policy')
  const policy = new PolicyClient(connect('policy'), clock)
  const owners = new SocketOwners(clock)
  const filterTools = callerFilterTools(home, control, launcher)
  const gates = new Gates({
    control,
    clock,
    log,
    executor: new OwnExecutor(launcher),
    readFile: (name) => filterTools.readFile(name),
    policy: mayAskPolicy ? policy : unasked,
    recipients: mayConnect(home, 'lspawn-recipients')
      ? new RecipientClient(connect('lspawn-recipients'), clock)
      : undefined,
    contentChecks: mayAskPolicy ? [authenticating({ control, clock, policy })] : [],
    tables: () => routingTables(control),
    queue: new EnqueueClient(connect(queueSocketOf(home)), clock),
  })
  return new SessionSettings({
    control,
    clock,
    log,
    budget: new ContentBudget(limits.contentBytesInFlightMax),
    gates,
    filterTools,
    replyRules: new ReplyRulesSource(control, log),
    variables: {},
    relayerOf: (variables) => relayerIn(variables, owners),
    tlsAvailable: () => false,
  })
}

function leave(code: number): never {
  flushLog()
  process.exit(code)
}
