/** qmail-qmtpd(8) and qmail-qmqpd(8): one session with the client on descriptors 0 and 1, started by tcpserver or its kin. As
 *  in qmail, every client may relay by QMQP; by QMTP only with RELAYCLIENT, otherwise to the domains of rcpthosts.
 *  Fails:  111 without control files, 100 if the client breaks the protocol or is silent. */
import type { RelayService } from '../../contracts/services.ts'
import { domainOf } from '../../protocols/smtp/address.ts'
import { callerFilterTools } from '../../servers/descriptors/caller-queue.ts'
import { inheritedEnvironment } from '../../servers/descriptors/environment.ts'
import { serveStream } from '../../servers/descriptors/session-on-stream.ts'
import { Control } from '../../stores/control/control.ts'
import { domainCheck, MoreHostsFile } from '../../stores/control/rcpthosts.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock as clock } from '../../system/clock.ts'
import { Launcher } from '../../system/launcher.ts'
import { SocketOwners } from '../../system/socket-owners.ts'
import { flushLog, type Log, openLog } from '../../system/log.ts'
import { isErrorOutputApart, standardStream } from '../../system/standard-stream.ts'
import { RelayDialogue, type RelaySetting } from './dialogue.ts'
import { limits } from './limits.ts'
import { mayRelay, relaySetting } from './relay-setting.ts'

const filtersMax = 4
const code = { ok: 0, protocol: 100, temporary: 111 } as const

/** Ends the process. */
export async function serveOnce(home: Home, form: RelayService): Promise<never> {
  const log: Log = isErrorOutputApart() ? openLog(`qmail-${form}d`) : () => undefined
  const warn = (problem: string): void => log(`warning: ${problem}`)
  const control = new Control(home.control, clock, warn)
  const unread = [...new Set([`${form}d`, 'smtpd'].flatMap((program) => control.unread(program)))]
  if (unread.length > 0) {
    log(`unable to read controls: ${unread.join('; ')}`)
    return leave(code.temporary)
  }
  const launcher = new Launcher(clock, log, home.path, filtersMax)
  const environment = inheritedEnvironment(process.env)
  const parts = {
    form,
    control,
    log,
    filterTools: callerFilterTools(home, control, launcher),
    owners: new SocketOwners(clock),
  }
  const setting = {
    ...relaySetting(parts, environment, {}),
    ...(mayRelay(form, environment) ? {} : domainsOf(control, warn)),
  }
  const end = await serveStream(standardStream(), { limits, clock }, (port) => new RelayDialogue(setting, port))
  launcher.killAll()
  return leave(end === 'refused' ? code.protocol : code.ok)
}

function domainsOf(control: Control, warn: (problem: string) => void): Pick<RelaySetting, 'isOurs'> {
  const isOurs = domainCheck(control.list('rcpthosts'), new MoreHostsFile(control, warn))
  return {
    isOurs(recipient) {
      const domain = domainOf(recipient)
      return domain === undefined || isOurs(domain)
    },
  }
}

function leave(exitCode: number): never {
  flushLog()
  process.exit(exitCode)
}
