/** queue: the spool and the schedule; the only writer of the queue.
 *  Knows:  control/{me,locals,virtualdomains,…}, HOME/queue. Never: the network, a user's home, a TLS key.
 *  Fails:  exits 111 where it cannot start; a damaged database is noted, and the next start looks into it. */
import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openStore, type OpenedStore } from './open-store.ts'
import { describeError } from '../../base/outcome.ts'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'
import { ProgramEnqueuer } from '../../clients/queue/program.ts'
import { SigningClient } from '../../clients/signing/signing-client.ts'
import type { RoutingTables } from '../../protocols/qmail/routing.ts'
import { Control } from '../../stores/control/control.ts'
import { handInBytesMax } from '../../stores/control/hand-in-limit.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { routingFiles, routingTables } from '../../stores/control/routing-tables.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { homeAt, type SocketName, socketPath, sockets } from '../../stores/home/layout.ts'
import { StoreError } from '../../stores/queue/contract.ts'
import { damageMarker } from '../../stores/queue/open.ts'
import { noteDamage } from '../../stores/queue/salvage.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import { flushLog, openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { Acceptance } from './acceptance.ts'
import { Admin } from './admin.ts'
import { Bouncer } from './bouncer.ts'
import { Connections } from './connections.ts'
import { ContentSource } from './content-source.ts'
import { DeferralCauses } from './deferral-causes.ts'
import { DeliveryLog } from './delivery-log.ts'
import { Dispatcher } from './dispatcher.ts'
import { UncommittedBytes } from './intake.ts'
import { stopMillisecondsMax } from './limits.ts'
import { LocalDeliveries } from './local-deliveries.ts'
import { RemoteDeliveries } from './remote-deliveries.ts'
import { SenderRewriting } from './sender-rewriting.ts'
import { bounceSettings, channelSettings, rewritingSetting } from './settings.ts'
import { Signing } from './signing.ts'
import { Timekeeper } from './timekeeper.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const home = homeAt(values.home ?? '.')
const names = (values.listen ?? '').split(',').filter((name): name is SocketName => name in sockets)
const log = new DeliveryLog(openLog('queue'))

let stopping = false
let stop: () => Promise<void> = () => Promise.resolve()
let reload: () => void = () => undefined
let retry: () => void = () => undefined

const { ready, fail, listeners } = supervised(
  openLog('queue'),
  { stop: () => stop(), reload: () => reload(), retry: () => retry(), troubles, counts: () => log.counts },
  names,
)
process.umask(0o077)

const control = new Control(home.control, realClock, (problem) => log.warning(problem))
control.demandFor('queue', fail)
const ownAddresses = new OwnAddresses(
  control,
  interfaceAddressReader(() => realClock.monotonic()),
  (problem) => log.warning(problem),
)
let tables: RoutingTables =
  routingTables(control, ownAddresses) ?? fail('unable to read controls: no control/locals, no control/me')

const opened: OpenedStore = await openStore(home.queue, realClock, realFiles, log).catch((error: unknown) =>
  fail(describeError(error)),
)
const { store, clock } = opened
const alias =
  values.demo === true
    ? undefined
    : await findAccount(accountName(control.map('roles'), 'alias')).catch(() => undefined)

function troubles(): Trouble[] {
  const writing =
    storeTrouble === undefined || clock.monotonic() - storeTrouble.at > troubleMilliseconds
      ? []
      : [storeTrouble.trouble]
  return [...writing, ...causes.troubles(), ...controlTroubles(control, 'queue')]
}

/** Trouble with writing is told for so long after it was met. */
const troubleMilliseconds = 60_000
let storeTrouble: { readonly trouble: Trouble; readonly at: number } | undefined
let troubleToldAt = Number.NEGATIVE_INFINITY
function onStoreTrouble(error: unknown): void {
  if (error instanceof StoreError && error.kind === 'damaged') {
    log.alert(`queue database cannot be trusted any more: ${error.message}; restarting to look into it`)
    noteDamage(damageMarker(home.queue), error.message)
    flushLog()
    process.exit(111)
  }
  const text = describeError(error)
  storeTrouble = {
    trouble: { ...(troubleIn(text) ?? { kind: 'queue', text }), where: home.queue },
    at: clock.monotonic(),
  }
  // One line a second is enough to be found; a full disk can refuse thousands of messages a second.
  if (clock.monotonic() - troubleToldAt < 1000) return
  troubleToldAt = clock.monotonic()
  log.alert(`trouble writing the queue: ${describeError(error)}`)
}

const causes = new DeferralCauses()
const settings = channelSettings(control)
const timekeeper = new Timekeeper({ store, clock, settings, lookAgain: () => dispatcher.lookAgain(), onStoreTrouble })
const source = new ContentSource(store, realRandom)
const remotes = new RemoteDeliveries(clock)
const locals = new LocalDeliveries(clock, {
  assign: (group, uid) => dispatcher.assign(group, uid),
  finish: (group, status) => dispatcher.reported(group, [status]),
})
const dispatcher: Dispatcher = new Dispatcher({
  store,
  source,
  clock,
  log,
  settings,
  transports: {
    local: {
      get canDeliver() {
        return locals.canDeliver
      },
      deliver(group, content) {
        locals.deliver(group, content)
        return true
      },
    },
    remote: remotes,
  },
  causes,
  onStoreTrouble,
})
const acceptance = new Acceptance(
  {
    store,
    clock,
    log,
    tables: () => tables,
    signing: new Signing({
      client: new SigningClient(() => connectPath(socketPath(home, 'queue-signer')), clock),
      domains: () => control.map('dkimdomains'),
      warn: (text) => log.warning(text),
    }),
    rewriting: new SenderRewriting({
      setting: () => rewritingSetting(control),
      tables: () => tables,
      now: () => realClock.now(),
    }),
    onAccepted: (message, content) => dispatcher.accepted(message, content),
    onStoreTrouble,
  },
  process.getuid?.() ?? 0,
)
const program = process.env['QMAILQUEUE']
dispatcher.connect(
  acceptance,
  new Bouncer({
    settings: bounceSettings(control),
    copyBytesMax: control.number('bouncemaxbytes'),
    acceptance,
    source,
    clock,
    program: program === undefined ? undefined : new ProgramEnqueuer(program, home.path, {}, clock),
  }),
)
const uncommitted = new UncommittedBytes()
const admin = new Admin({
  store,
  source,
  dispatcher,
  clock,
  log,
  distrust: (why) => onStoreTrouble(new StoreError('damaged', why)),
  takeSnapshot: (onPages) => store.takeSnapshot(onPages),
})
const connections = new Connections({
  clock,
  log,
  acceptance,
  uncommitted,
  dispatcher,
  remotes,
  locals,
  source,
  admin,
  aliasUid: alias?.uid,
  networkUid: networkUid(),
  handInBytesMax: () => handInBytesMax(control),
  isStopping: () => stopping,
})

reload = () => {
  control.reload(routingFiles)
  const next = routingTables(control, ownAddresses)
  if (next === undefined) log.alert('unable to reread control/locals')
  else tables = next
}
retry = () => {
  const hurry = { kind: 'hurry', id: undefined, atMs: clock.now() } as const
  store.commit([hurry]).then(() => dispatcher.lookAgain(), onStoreTrouble)
}
stop = async () => {
  stopping = true
  connections.close()
  await Promise.race([dispatcher.stop(), new Promise<void>((resolve) => setTimeout(resolve, stopMillisecondsMax))])
  await timekeeper.stop()
  await store.close()
  log.exiting()
}

for (const [name, fd] of listeners) {
  const known = names.find((one) => one === name)
  if (known !== undefined) connections.serve(known, fd)
}
await timekeeper.start()
dispatcher.start()
ready()

function networkUid(): number | undefined {
  const uid = statSync(socketPath(home, 'queue-network'), { throwIfNoEntry: false })?.uid
  return uid === process.getuid?.() ? undefined : uid
}
