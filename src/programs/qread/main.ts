/** qread: shows the queue to every client, as qmail-qread behind tcpserver did, for users who may not ask the queue. Runs only
 *  with control/listen-qread.
 *  Touches: control/me (reads), the queue's socket `queue-read`.
 *  Never:   changes anything; reads from the network.
 *  Fails:   without the queue a listing is empty or ends early; the log says so. */
import { parseArgs } from 'node:util'
import { listing } from '../../clients/admin/queue-listing.ts'
import { Control } from '../../stores/control/control.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { Acceptor } from '../../system/acceptor.ts'
import { realClock as clock } from '../../system/clock.ts'
import { openLog } from '../../system/log.ts'
import { supervised } from '../../system/supervised.ts'
import { Visits } from './visits.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string', default: 'qread' }, demo: { type: 'boolean' } },
})
const log = openLog('qread')
const home = homeAt(values.home ?? '.')
const supervisor = supervised(log, { stop }, values.listen.split(','))
const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const visits = new Visits({ me: control.optionalLine('me') }, log, () => listing(socketPath(home, 'queue-read'), clock))
const acceptor = new Acceptor([...supervisor.listeners.values()], (socket) => visits.accept(socket), clock, log)
await acceptor.listening()
supervisor.ready()

async function stop(): Promise<void> {
  acceptor.close()
  visits.close()
}
