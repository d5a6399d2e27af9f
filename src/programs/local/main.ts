/** local: delivers to one uid's mailboxes and serves its users' sessions, as that uid. Started by lspawn; one process per
 *  uid.
 *  Descriptors: 2 log, 4 the queue (attempts, contents, reports, forwards), 5 lspawn's assignments, 6 where the front
 *  brings sessions, 7 where the queue sends open files.
 *  Never:  changes its working directory: deliveries to many homes of one uid run at once.
 *  Ends:   after a minute without work or sessions, when lspawn says so or is gone, when the queue is gone. */
import { flushCompileCache } from 'node:module'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { type ByteString, fromText, toText } from '../../base/byte-string.ts'
import { ContentBudget } from '../../clients/queue/content-budget.ts'
import { EnqueuePort } from '../../clients/queue/enqueue-port.ts'
import { ProgramEnqueuer } from '../../clients/queue/program.ts'
import { QueueSink } from '../../clients/queue/queue-sink.ts'
import type { Enqueuer } from '../../clients/queue/enqueuer.ts'
import { decodeToLocal, encodeAlive } from '../../contracts/assign.ts'
import { smtpLimits } from '../../servers/smtp/limits.ts'
import { checkHome } from '../../stores/dot-qmail/home-files.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { Maildirs } from '../../stores/maildir/maildir.ts'
import { Mboxes } from '../../stores/mbox/mbox.ts'
import { realClock } from '../../system/clock.ts'
import { receiveDescriptor } from '../../system/descriptor-passing.ts'
import { isOpenSocket } from '../../system/descriptors.ts'
import { adoptDescriptor, FrameConnection } from '../../system/frame-connection.ts'
import { forbidTracing } from '../../system/libc.ts'
import { flushLog, openLog } from '../../system/log.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { realRandom } from '../../system/random.ts'
import { heedSignals } from '../../system/signals.ts'
import { Assignments } from './assignments.ts'
import { Attempts } from './attempts.ts'
import { ContentRoom } from './content.ts'
import { deliver, type DeliveryTools } from './delivery.ts'
import { servePop3Once } from './pop3/once.ts'
import { serveSessions } from './serve-sessions.ts'

const queueFd = 4
const assignmentsFd = 5
const sessionsFd = 6
const descriptorsFd = 7
/** After the queue or lspawn is gone. A program that still runs then is left to itself. */
const leaveMillisecondsMax = 15_000
const defaultPath = '/usr/local/bin:/usr/bin:/bin'

const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    demo: { type: 'boolean', default: false },
    // qmail-pop3d: one session about this Maildir, on descriptors 0 and 1.
    maildir: { type: 'string' },
  },
})
const home = values.home
const log = openLog('local')
let retire = (): void => leave(0)

// What its user could take from it is its own already; what it is told of others' sessions of this uid is not the business of
// every program of that user.
forbidTracing()
process.umask(0o077)
if (values.maildir !== undefined) await servePop3Once(homeAt(home ?? '.'), fromText(values.maildir))
process.on('uncaughtException', (error: Error) => {
  log(`alert: bug: ${(error.stack ?? error.message).replaceAll('\n', ' | ')}`)
  leave(111)
})
// A terminal's Ctrl-C and hang-up reach the whole group; lspawn decides.
heedSignals({ SIGTERM: () => retire() })

if (home === undefined) {
  log('alert: cannot start: --home is missing')
  leave(100)
} else serve(home)

function serve(homePath: string): void {
  const assignments = new Assignments(realClock)
  let finished = false
  const queue: FrameConnection = new FrameConnection(adoptDescriptor(queueFd), {
    onFrame: (frame) => (port.handle(frame) ? undefined : attempts.onFrame(frame)),
    onClose(reason) {
      if (finished) leave(0)
      if (reason !== '') log(`lost the queue: ${reason}`)
      port.connectionClosed(reason)
      attempts.connectionClosed()
      sessions?.shutdown()
      realClock.after(leaveMillisecondsMax, () => leave(0))
    },
  })
  const port = new EnqueuePort(queue, realClock)
  const budget = new ContentBudget(smtpLimits.contentBytesInFlightMax)
  const enqueuer = queueEnqueuer(port, budget)
  const tools = deliveryTools(homePath, enqueuer)
  const attempts: Attempts = new Attempts({
    clock: realClock,
    log,
    room: new ContentRoom(realClock, realRandom, log),
    assignments,
    send: (frame) => queue.send(frame),
    receiveDescriptor: isOpenSocket(descriptorsFd) ? () => receiveDescriptor(descriptorsFd) : undefined,
    checkHome: (assignment) => checkHome(quickFiles, assignment.home),
    deliver: (assignment, { sender, params }, content) => deliver(tools, { assignment, sender, params, content }),
  })
  const world = { homePath, demo: values.demo, queue: enqueuer, budget, log, hold: () => attempts.hold() }
  const sessions = serveSessions(sessionsFd, world)
  retire = () => {
    sessions?.shutdown()
    attempts.retire()
  }
  const lspawn: FrameConnection = new FrameConnection(adoptDescriptor(assignmentsFd), {
    onFrame(frame) {
      const message = decodeToLocal(frame)
      if (message === undefined) return
      if (message.kind === 'assignment' || message.kind === 'session') attempts.stay()
      switch (message.kind) {
        case 'assignment':
          return assignments.add(message)
        case 'forget':
          return assignments.forget(message.key)
        case 'session':
          return sessions?.expect(message)
        case 'revoke':
          return sessions?.revoke(message.account)
        case 'close':
          return sessions?.close(message.service)
        case 'ping':
          return lspawn.send(encodeAlive())
        case 'retire':
          sessions?.forget()
          return attempts.retireWhenIdle()
      }
    },
    onClose() {
      retire()
      realClock.after(leaveMillisecondsMax, () => leave(0))
    },
  })
  attempts.begin()
  flushCompileCache()
  lspawn.send(encodeAlive())
  void attempts.finished.then(() => {
    finished = true
    // A session that began now would be cut off: its front finds nobody, and asks for another process.
    sessions?.shutdown()
    if (queue.closed) leave(0)
    // The queue closes when it has read the last report: leaving before could lose it, and the mail would come twice.
    queue.end()
    realClock.after(leaveMillisecondsMax, () => leave(0))
  })
}

function deliveryTools(homePath: string, queue: Enqueuer): DeliveryTools {
  const machine = { files: quickFiles, clock: realClock }
  const program = process.env['QMAILQUEUE']
  return {
    ...machine,
    random: realRandom,
    log,
    baseEnvironment: programEnvironment(homePath),
    maildirs: new Maildirs({ ...machine, random: realRandom, pid: process.pid, host: fromText(hostname()) }),
    mboxes: new Mboxes(machine),
    enqueuerFor: (environment) =>
      program === undefined ? queue : new ProgramEnqueuer(program, homePath, textOf(environment), realClock),
  }
}

/** Over the only connection that it has. */
function queueEnqueuer(port: EnqueuePort, budget: ContentBudget): Enqueuer {
  const link = { port, release: () => undefined }
  const route = { to: 'the queue', budget, connect: () => Promise.resolve(link) }
  return { open: (envelope, params) => new QueueSink(route, envelope, params) }
}

/** What a `.qmail` program sees besides the variables of its delivery. qmail's programs are on its PATH, before others of
 *  these names. */
function programEnvironment(homePath: string): Record<string, string> {
  const path = `${homeAt(homePath).bin}:${process.env['PATH'] ?? defaultPath}`
  const environment: Record<string, string> = { PATH: path }
  for (const name of ['TZ', 'LANG', 'QMAILQUEUE']) {
    const value = process.env[name]
    if (value !== undefined) environment[name] = value
  }
  return environment
}

function textOf(environment: ReadonlyMap<string, ByteString>): Record<string, string> {
  return Object.fromEntries([...environment].map(([name, value]) => [name, toText(value)]))
}

function leave(code: number): never {
  flushLog()
  process.exit(code)
}
