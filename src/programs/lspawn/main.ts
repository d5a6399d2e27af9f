/** lspawn: says which uid owns a local recipient or an account, and starts that user's `local`. Runs as root in a system
 *  home.
 *  Descriptors: 2 log, 3 start. Connects to the queue once for itself and once on behalf of each `local`.
 *  Never:  reads mail, or anything from the network but a recipient address, and what a checkpassword program is given. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { accountOf, type Home, homeAt, socketPath } from '../../stores/home/layout.ts'
import { accountName } from '../../stores/home/account-name.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { routingFiles, routingTables } from '../../stores/control/routing-tables.ts'
import { restoreCdb } from '../../stores/users/assign.ts'
import { AccountBook, UserLookup, type UserWorld } from '../../stores/users/lookup-user.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { LocalProcess, type SessionSockets } from './local-process.ts'
import { Locals } from './locals.ts'
import { Logins } from './logins.ts'
import { isMemoryShort, placesOfThisMachine } from './places.ts'
import { PasswordChecker } from './password-checker.ts'
import { QueueLink } from './queue-link.ts'
import type { RecipientWorld } from '../../stores/users/recipient-check.ts'
import { RecipientQuestions } from './recipient-questions.ts'
import { Resolver } from './resolver.ts'
import { SessionOpener } from './session-opener.ts'
import { Tickets } from './tickets.ts'

/** What a `local` knows by heart. */
const keysMax = 20_000
const memoryLookMilliseconds = 5_000
const shrinkIdleMilliseconds = 2_000

const { values } = parseArgs({
  options: { home: { type: 'string' }, demo: { type: 'boolean', default: false }, listen: { type: 'string' } },
})
const log = openLog('lspawn')
let stop = (): Promise<void> => Promise.resolve()
let reload = (): void => undefined
let troubles = (): readonly Trouble[] => []
process.umask(0o077)
const start = supervised(
  log,
  { stop: () => stop(), reload: () => reload(), troubles: () => troubles() },
  values.listen?.split(','),
)
if (values.home === undefined) start.fail('--home is missing')
else await serve(values.home, values.demo)

async function serve(path: string, demo: boolean): Promise<void> {
  const home = homeAt(path)
  const queueSocket = socketPath(home, 'queue-lspawn')
  const ownUid = process.getuid?.() ?? start.fail('this system has no uids')
  const ownGid = process.getgid?.() ?? start.fail('this system has no gids')
  const rootMayReceive = demo && ownUid === 0
  const control = new Control(home.control, realClock, log)
  control.demandFor('lspawn', start.fail)
  troubles = () => controlTroubles(control, 'lspawn')
  await restoreUsers(home)
  const names = control.map('roles')
  const users = new UserLookup(home, demo ? demoWorld(ownUid, ownGid) : systemWorld(accountName(names, 'alias')))
  const sessions = await sessionSockets(home, demo ? undefined : accountName(names, 'login'))
  const setting = { clock: realClock, log, home: path, demo, queueSocket, ownUid, sessions }
  const locals = new Locals(
    realClock,
    realRandom,
    log,
    (uid, gid, onExit) => new LocalProcess(setting, uid, gid, onExit),
    { ...placesOfThisMachine(), keysMax },
  )
  setInterval(() => {
    if (isMemoryShort()) locals.shrink(shrinkIdleMilliseconds)
  }, memoryLookMilliseconds).unref()
  const defaultDelivery = control.line('defaultdelivery')
  const resolver = new Resolver({ users, locals, defaultDelivery, rootMayReceive, log })
  const servers = [
    serveRecipients({ users, clock: realClock, defaultDelivery }),
    serveLogins(home, control, users, locals, rootMayReceive),
  ]
  const link = new QueueLink(queueSocket, resolver, realClock, log, () => start.ready())
  stop = () => {
    for (const server of servers) server?.close()
    link.stop()
    return locals.stop()
  }
}

/** Without it the home would know none of its accounts. */
async function restoreUsers(home: Home): Promise<void> {
  try {
    const restored = await restoreCdb(home)
    if (restored?.done === true) log(`warning: users/cdb was missing: made from users/assign`)
    else if (restored !== undefined)
      log(`alert: users/cdb is missing: ${restored.failure.logText}; mail for users waits`)
  } catch (error) {
    log(`alert: users/cdb: ${describeError(error)}`)
  }
}

function serveRecipients(world: RecipientWorld): RecipientQuestions | undefined {
  const fd = start.listeners.get('lspawn-recipients')
  return fd === undefined ? undefined : new RecipientQuestions(fd, world, log)
}

function serveLogins(
  home: Home,
  control: Control,
  users: UserLookup,
  locals: Locals,
  rootMayReceive: boolean,
): Logins | undefined {
  const ticketsFd = start.listeners.get('lspawn-tickets')
  const loginFd = start.listeners.get('lspawn-login')
  if (ticketsFd === undefined || loginFd === undefined) return undefined
  let tables = routingTables(control)
  reload = () => {
    control.reload(routingFiles)
    tables = routingTables(control) ?? tables
  }
  const tickets = new Tickets(realClock)
  const shared = { tickets, clock: realClock, log }
  const opener = new SessionOpener({
    ...shared,
    users,
    locals,
    random: realRandom,
    rootMayReceive,
    tables: () => tables,
  })
  const checker = new PasswordChecker({
    ...shared,
    directory: home.path,
    rootMayReceive,
    command() {
      control.refresh()
      return control
        .optionalLine('checkpassword')
        ?.split(' ')
        .filter((word) => word !== '')
    },
  })
  return new Logins(ticketsFd, loginFd, { ...shared, locals, opener, checker })
}

/** Undefined: nobody brings sessions. `front`: the account that connects; undefined in a demo. */
async function sessionSockets(home: Home, front: string | undefined): Promise<SessionSockets | undefined> {
  if (!start.listeners.has('lspawn-login')) return undefined
  const directory = join(home.run, 'local')
  const owner = front === undefined ? undefined : await findAccount(front)
  if (front !== undefined && owner === undefined) return undefined
  try {
    // Those of an lspawn before this one lead nowhere.
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { force: true })
  } catch (error) {
    // Mail is delivered all the same.
    log(`warning: there can be no sessions: ${describeError(error)}`)
    return undefined
  }
  return { directory, owner }
}

/** The machine's accounts matter to a system home only. */
function demoWorld(uid: number, gid: number): UserWorld {
  const alias = { name: accountOf.alias, uid, gid }
  return { accounts: undefined, alias: () => Promise.resolve(alias) }
}

function systemWorld(aliasAccount: string): UserWorld {
  const accounts = new AccountBook(realClock)
  return { accounts, alias: () => accounts.account(aliasAccount) }
}
