/** `start`: opens the sockets, reads the TLS key, starts and restarts the programs, and stops them in order.
 *  Knows:  order, owners, descriptors. Never: mail; input from the network.
 *  Fails:  before the first program runs: throws, with a text for the administrator. After that it goes on. */
import { join } from 'node:path'
import { toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import { findListener, type ListenerName, type ServiceName } from '../../contracts/services.ts'
import type { TlsOrder } from '../../contracts/supervise.ts'
import { explainTrouble, type Trouble } from '../../contracts/troubles.ts'
import { Control } from '../../stores/control/control.ts'
import { type Home, homeAt, socketPath } from '../../stores/home/layout.ts'
import { HomeError, type OwnerOf } from '../../stores/home/make.ts'
import { keepRulesCompiled } from '../../stores/tcprules/keep-compiled.ts'
import { migrateRules } from '../../stores/tcprules/migrate.ts'
import { serveAdmin } from '../../system/admin-server.ts'
import { realClock as clock, wallTime } from '../../system/clock.ts'
import { compileForOthers, shareCompiled } from '../../system/shared-compile-cache.ts'
import { operate } from './operations.ts'
import { serveCertificates } from './certificates.ts'
import { commandFor } from './command.ts'
import { Fleet } from './fleet.ts'
import { HomeTroubles } from './home-troubles.ts'
import { linkPrograms } from './program-links.ts'
import { lockHome } from './lock.ts'
import { addressesFor, type StartOptions, wantedServices } from './options.ts'
import { bindAll, type Listening, prepareSystemHome } from './prepare.ts'
import { watchDrops } from './pickup.ts'
import { type Program, programFile } from './program.ts'
import { demoScreen, type Screen, systemScreen } from './screen.ts'
import { watchTls, type WatchedTls } from './tls-watch.ts'

export interface Started {
  readonly home: Home
  readonly screen: Screen
  readonly listening: Listening
  readonly fleet: Fleet
  /** Resolves when all programs are gone and the sockets are closed. */
  stop(): Promise<void>
  /** Resolves at that time, too, however the stop was requested. */
  readonly stopped: Promise<void>
}

export interface Announcements {
  /** Every program serves; called once. */
  allReady(): void
  ready(program: string): void
}

export async function start(
  options: StartOptions,
  table: readonly Program[],
  announcements: Announcements,
): Promise<Started> {
  const plan = makePlan(options, table)
  const { home, programs } = plan
  const { ownerOf, made } = options.demo
    ? { ownerOf: undefined, made: [] }
    : await prepareSystemHome(home, programs, clock)
  if (!(await lockHome(join(home.run, 'lock'), socketPath(home, 'start'))))
    throw new HomeError(`another 'quaver start' runs on ${home.path}: stop it with 'quaver stop --home ${home.path}'`)
  linkPrograms(home)
  const listening = bindAll(home, programs, plan.addresses, ownerOf)
  const screen = options.demo ? demoScreen(home.log, clock) : systemScreen(plan.log, clock)
  for (const text of made) screen.note(text)
  // As qmail-start: files of the programs are private unless they set other modes.
  process.umask(0o077)

  let endDrops = (): void => undefined
  const fleet = makeFleet({ plan, demo: options.demo, ownerOf, listening, screen }, announcements, () => {
    endDrops = watchDrops(home, screen)
  })
  const tls = await keepTls(home, fleet, listening, screen)
  const troubles = new HomeTroubles(
    home,
    {
      programs: () => fleet.troubles(),
      certificates: () => (plan.programs.some((one) => one.tls) ? tls.troubles() : []),
      log: () => screen.logTrouble(),
    },
    clock,
  )
  troubles.begin()
  const endRules = await keepRules(home, options.demo, screen)
  const { promise: stopped, resolve: markStopped } = Promise.withResolvers<void>()
  const stop = once(async () => {
    troubles.end()
    endDrops()
    endRules()
    await fleet.stop()
    listening.close()
    screen.close()
    markStopped()
  })
  const summary = { home: home.path, demo: options.demo, pid: process.pid, log: screen.logPath }
  const started = clock.monotonic()
  const addresses = new Map(
    [...plan.addresses.keys()].map((name) => [name, addressesOfBound(listening, name)] as const),
  )
  const smtp = addresses.get('smtp') ?? []
  const operations = {
    status: async () => [
      {
        ...summary,
        startedMs: wallTime(started, clock),
        services: plan.services,
        smtp,
        listening: Object.fromEntries(addresses),
        troubles: await troubles.look(),
      },
      ...fleet.status(),
    ],
    programs: () => fleet.status(),
    reload: () => fleet.tell({ kind: 'reload' }),
    stop,
  }
  listening.bound
    .get('start')?.[0]
    ?.serve((socket) => serveAdmin(socket, clock, (request) => operate(operations, request)))
  const certificates = listening.bound.get('start-certificates')?.[0]
  if (certificates !== undefined) serveCertificates(certificates, home, clock, screen)
  if (ownerOf !== undefined) await compileForAccounts(programs, ownerOf)
  fleet.start()
  return { home, screen, listening, fleet, stop, stopped }
}

interface Plan {
  readonly home: Home
  readonly services: readonly ServiceName[]
  readonly programs: readonly Program[]
  readonly addresses: ReturnType<typeof addressesFor>
  /** control/log, else the option. */
  readonly log: string | undefined
}

/** The plan from options and control/. */
function makePlan(options: StartOptions, table: readonly Program[]): Plan {
  const home = homeAt(options.home)
  const control = new Control(home.control, clock)
  const wanted = wantedServices(options, control)
  const programs = table.filter((program) => isWanted(program, wanted, control))
  const addresses = addressesFor(
    programs.flatMap(({ listens }) => listens.flatMap((name) => findListener(name) ?? [])),
    options,
    control,
  )
  return { home, services: wanted, programs, addresses, log: control.optionalLine('log') ?? options.log }
}

function isWanted({ for: services, onlyWith }: Program, wanted: readonly ServiceName[], control: Control): boolean {
  if (onlyWith !== undefined && !control.isPresent(onlyWith)) return false
  return services?.some((service) => wanted.includes(service)) ?? true
}

interface FleetSetting {
  readonly plan: Plan
  readonly demo: boolean
  readonly ownerOf: OwnerOf
  readonly listening: Listening
  readonly screen: Screen
}

function makeFleet(setting: FleetSetting, announcements: Announcements, onAllReady: () => void): Fleet {
  const { plan, screen } = setting
  const forCommands = { ...setting, home: plan.home }
  const members = plan.programs.map((program) => ({ program, command: commandFor(program, forCommands) }))
  return new Fleet(
    members,
    {
      ready(child) {
        const { pid, program, restarts } = child.status()
        screen.note(`${program} runs${restarts === 0 ? '' : ' again'}, pid ${pid}`)
        announcements.ready(program)
      },
      trouble: (text) => screen.trouble(text),
      allReady() {
        onAllReady()
        announcements.allReady()
      },
    },
    clock,
  )
}

/** Most programs run as accounts that may not store compiled code, so root compiles once for all of them. */
async function compileForAccounts(programs: readonly Program[], ownerOf: NonNullable<OwnerOf>): Promise<void> {
  await compileForOthers([...programs.map((program) => programFile(program)), programFile({ name: 'local' })])
  for (const { role } of programs) if (role !== 'root') shareCompiled(ownerOf(role).uid)
}

/** Rules are compiled here, since their directory is root's. A demo imports none from the machine. */
async function keepRules(home: Home, demo: boolean, screen: Screen): Promise<() => void> {
  try {
    const migrated = demo ? [] : await migrateRules(home)
    for (const { from, to } of migrated) screen.note(`${from} has become ${to}; the old file is not read any more`)
  } catch (error) {
    screen.trouble(`old tcprules: ${describeError(error)}`)
  }
  const events = { compiled: (text: string) => screen.note(text), fault: (text: string) => screen.trouble(text) }
  return keepRulesCompiled(home, events, clock)
}

function addressesOfBound(listening: Listening, name: ListenerName): string[] {
  return (listening.bound.get(name) ?? []).map(({ address }) => address)
}

async function keepTls(home: Home, fleet: Fleet, listening: Listening, screen: Screen): Promise<WatchedTls> {
  const events = {
    onOrder(order: TlsOrder) {
      listening.listenWithTls()
      fleet.giveTls(order)
    },
    onFault: (fault: string) => screen.trouble(`TLS: ${fault}; what was in force before stays so`),
    onTrouble: (trouble: Trouble) => screen.trouble(`TLS: ${trouble.text}: ${explainTrouble(trouble)}`),
  }
  const control = new Control(home.control, clock)
  const ownName = (): string | undefined => {
    control.reload(['me'])
    const name = control.optionalLine('me')
    return name === undefined ? undefined : toText(name)
  }
  return await watchTls(home.tls, ownName, events, clock)
}

function once(act: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= act())
}
