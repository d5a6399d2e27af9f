/** httpd: serves two kinds of pages, and nothing else: on port 80 ACME challenges, for an authority; on port 443 (`httpsd`)
 *  MTA-STS policies, for mail servers. Each runs only with control/listen-http or listen-https.
 *  Touches: HOME/acme/challenge, control/mtasts and me (reads); httpsd gets certificates and keys.
 *  Never:   sees mail; keeps a connection for a second request.
 *  Fails:   a page that cannot be read is 503, and the log says why. */
import { once } from 'node:events'
import type { Server } from 'node:net'
import { parseArgs } from 'node:util'
import { toText } from '../../base/byte-string.ts'
import { services } from '../../contracts/services.ts'
import type { TlsOrder } from '../../contracts/supervise.ts'
import { readChallenge } from '../../stores/acme/challenge-files.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { realClock as clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { openLog } from '../../system/log.ts'
import { ServerTls } from '../../system/server-tls.ts'
import { supervised } from '../../system/supervised.ts'
import { challengePages, policyPages } from './pages.ts'
import { pageServer } from './page-server.ts'
import { serveWithTls } from './tls-front.ts'

const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    listen: { type: 'string', default: 'http' },
    demo: { type: 'boolean' },
    service: { type: 'string', default: 'http' },
  },
})
const { program: tag } = services[values.service === 'https' ? 'https' : 'http']
const log = openLog(tag)
const home = homeAt(values.home ?? '.')
const tls = new ServerTls()
let certify = (): void => undefined
const certified = new Promise<void>((resolve) => {
  certify = resolve
})
let servers: readonly Server[] = []
const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const program = supervised(
  log,
  { stop, tls: useTls, troubles: () => controlTroubles(control, tag) },
  values.listen.split(','),
)
control.demandFor(tag, program.fail)
const fds = [...program.listeners.values()]
servers = values.service === 'https' ? await servePolicies() : await serveChallenges()
program.ready()

async function serveChallenges(): Promise<Server[]> {
  const find = challengePages((token) => readChallenge(realFiles, home, token), log)
  const listening = fds.map((fd) => pageServer(find, log).listen({ fd }))
  await Promise.all(listening.map((server) => once(server, 'listening')))
  return listening
}

async function servePolicies(): Promise<Server[]> {
  const me = control.optionalLine('me') ?? program.fail('unable to read controls: control/me is not there')
  const lines = (): ReadonlyMap<string, string> | undefined => {
    control.refresh()
    return control.map('mtasts')
  }
  const pages = pageServer(policyPages(lines, toText(me).toLowerCase()), log)
  // Until there is a certificate, clients wait in the backlog.
  await certified
  return await Promise.all(fds.map((fd) => serveWithTls(fd, pages, tls, clock, log)))
}

function useTls(order: TlsOrder): void {
  const fault = tls.give(order)
  if (fault === undefined) certify()
  else log(`alert: the new certificates cannot be used, those before stay: ${fault}`)
}

async function stop(): Promise<void> {
  // Running answers are finished; the end of the process closes the rest.
  for (const server of servers) server.close()
}
