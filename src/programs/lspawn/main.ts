/** lspawn: says which uid owns a local recipient, and starts that user's `local`. Runs as root in a system home.
 *  Descriptors: 2 log, 3 start. Connects to the queue once for itself and once on behalf of each `local`.
 *  Never:  reads mail, or anything from the network but a recipient address. */
import { parseArgs } from 'node:util'
import { accountOf, homeAt, socketPath } from '../../stores/home/layout.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { Control } from '../../stores/control/control.ts'
import { AccountBook, UserLookup, type UserWorld } from '../../stores/users/lookup-user.ts'
import { realClock } from '../../system/clock.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { LocalProcess } from './local-process.ts'
import { Locals } from './locals.ts'
import { QueueLink } from './queue-link.ts'
import { RecipientQuestions } from './recipient-questions.ts'
import { Resolver } from './resolver.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, demo: { type: 'boolean', default: false }, listen: { type: 'string' } },
})
const log = openLog('lspawn')
let stop = (): Promise<void> => Promise.resolve()
process.umask(0o077)
const start = supervised(log, { stop: () => stop() }, values.listen?.split(','))
if (values.home === undefined) start.fail('--home is missing')
else serve(values.home, values.demo)

function serve(path: string, demo: boolean): void {
  const home = homeAt(path)
  const queueSocket = socketPath(home, 'queue-lspawn')
  const ownUid = process.getuid?.() ?? start.fail('this system has no uids')
  const ownGid = process.getgid?.() ?? start.fail('this system has no gids')
  const setting = { clock: realClock, home: path, demo, queueSocket, ownUid }
  const locals = new Locals(
    realClock,
    realRandom,
    log,
    (uid, gid, onExit) => new LocalProcess(setting, uid, gid, onExit),
  )
  const control = new Control(home.control, realClock, log)
  const aliasName = accountName(control.map('accounts'), 'alias')
  const users = new UserLookup(home, demo ? demoWorld(ownUid, ownGid) : systemWorld(aliasName))
  const defaultDelivery = control.line('defaultdelivery')
  const resolver = new Resolver({
    users,
    locals,
    defaultDelivery,
    rootMayReceive: demo && ownUid === 0,
    log,
  })
  const link = new QueueLink(queueSocket, resolver, realClock, log)
  const questions = new RecipientQuestions({ users, clock: realClock, defaultDelivery }, log)
  for (const fd of start.listeners.values()) questions.serve(fd)
  stop = () => {
    questions.close()
    link.stop()
    return locals.stop()
  }
  void link.connect(() => start.ready())
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
