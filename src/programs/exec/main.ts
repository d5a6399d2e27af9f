/** exec: runs plug-ins and filters for smtpd, as smtpd's account, so that starting a process never holds up a session.
 *  Touches: whatever the plug-ins touch; control/signatures (reads); unlinked temporary files; `queue-network`.
 *  Never:   decides anything about a session; keeps mail.
 *  Fails:   a program's failure is reported to its caller; if this process dies, the callers' sockets close. */
import { parseArgs } from 'node:util'
import { unlimited } from '../../clients/queue/content-budget.ts'
import { EnqueueClient } from '../../clients/queue/enqueue.ts'
import { decodeExecuteRequest } from '../../contracts/execute.ts'
import { ContractError, type Frame, frameBytesMax } from '../../contracts/frame.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { connectPath, connectUnread, type FrameConnection, type FrameHandlers } from '../../system/frame-connection.ts'
import { FrameServer } from '../../system/frame-server.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { supervised } from '../../system/supervised.ts'
import { Chain } from './chain.ts'
import { filterPass, type PassTools } from '../../clients/filters/filter-pass.ts'
import { FilterEnqueuer } from '../../clients/filters/filter-enqueuer.ts'
import { Launcher } from '../../system/launcher.ts'
import { Runs } from './runs.ts'

/** At once; the others wait. Filters have slots of their own, since they take long. */
const plugInsMax = 50
const filtersMax = 20
/** Each message that waits for its filters has its own connection. */
const connectionsMax = 10_000

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const log = openLog('exec')
const home = homeAt(values.home ?? '.')
const plugIns = new Launcher(realClock, log, home.path, plugInsMax)
const filters = new Launcher(realClock, log, home.path, filtersMax)
const queueSocket = socketPath(home, 'queue-network')
const queue = new EnqueueClient(
  () => connectPath(queueSocket),
  realClock,
  unlimited,
  () => connectUnread(queueSocket),
)

const supervisor = supervised(
  log,
  { stop, troubles: () => controlTroubles(control, 'exec') },
  values.listen?.split(',') ?? ['exec'],
)
const control = new Control(home.control, realClock, (problem) => log(`warning: ${problem}`))
control.demandFor('exec', supervisor.fail)
const tools: PassTools = {
  launcher: filters,
  random: realRandom,
  clock: realClock,
  queue,
  signatures() {
    control.refresh()
    return control.list('signatures') ?? []
  },
}
const servers = [...supervisor.listeners.values()].map(
  (fd) =>
    new FrameServer(fd, {
      socket: 'exec',
      purpose: 'execute',
      clock: realClock,
      log,
      connectionsMax,
      frameBytesMax,
      accept: handlersFor,
    }),
)
await Promise.all(servers.map((server) => server.listening()))
supervisor.ready()

/** A connection serves runs, until `chain` dedicates it to one message. */
function handlersFor(connection: FrameConnection): FrameHandlers {
  const runs = new Runs(connection, plugIns)
  let chain: Chain | undefined
  return {
    onFrame(frame: Frame) {
      if (chain !== undefined) return chain.handle(frame)
      const request = decodeExecuteRequest(frame)
      if (request === undefined) throw new ContractError(`unexpected frame type ${frame.type}`)
      if (request.request !== 'chain') return runs.handle(request)
      const enqueuer = new FilterEnqueuer(realRandom, filterPass(tools, request), () => connection.closed)
      chain = new Chain(connection, enqueuer)
    },
    onClose() {
      runs.closed()
      chain?.forget()
    },
  }
}

/** smtpd stops before this program: nothing needs the programs that still run. */
function stop(): Promise<void> {
  for (const server of servers) server.close()
  plugIns.killAll()
  filters.killAll()
  queue.close()
  return Promise.resolve()
}
