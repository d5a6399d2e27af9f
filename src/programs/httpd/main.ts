/** httpd: shows challenges of HOME/acme/challenge to an authority, on port 80, and nothing else to anybody. Runs only where
 *  control/listen-http says where.
 *  Touches: HOME/acme/challenge (reads).
 *  Never:   sees a key or mail; keeps a connection for a second request.
 *  Fails:   a challenge that cannot be read is 503, and the log says why. */
import { parseArgs } from 'node:util'
import { readChallenge } from '../../stores/acme/challenge-files.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { realFiles } from '../../system/files.ts'
import { openLog } from '../../system/log.ts'
import { supervised } from '../../system/supervised.ts'
import { challengeServer } from './challenge-server.ts'

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string', default: 'http' }, demo: { type: 'boolean' } },
})
const log = openLog('httpd')
const home = homeAt(values.home ?? '.')
const program = supervised(log, { stop }, values.listen.split(','))
const servers = [...program.listeners.values()].map((fd) => {
  const server = challengeServer((token) => readChallenge(realFiles, home, token), log)
  return server.listen({ fd })
})
await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.once('listening', resolve))))
program.ready()

async function stop(): Promise<void> {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
}
