/** Puts authd's parts together. Loaded after main.ts has lowered the process's priority. */
import { parseArgs } from 'node:util'
import { TicketClient } from '../../clients/tickets/ticket-client.ts'
import { type ByteString, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { type Mechanism, readMechanism, usualMechanisms } from '../../protocols/sasl/mechanisms.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { saltKey } from '../../stores/credentials/salt-key.ts'
import { spellings } from '../../stores/credentials/spellings.ts'
import { type Home, homeAt, socketPath } from '../../stores/home/layout.ts'
import { serveAdmin } from '../../system/admin-server.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { connectPath, serveDescriptor } from '../../system/frame-connection.ts'
import { type Log, openLog, printable } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { Remembered } from '../../system/remembered.ts'
import { Slots } from '../../system/slots.ts'
import { supervised } from '../../system/supervised.ts'
import { answerAbout } from './admin.ts'
import { Conversations } from './conversations.ts'
import { CredentialsSource } from './credentials-source.ts'
import { LoginGuard } from './guard.ts'
import { Authenticator } from './authenticator.ts'
import {
  admitMillisecondsMax,
  checkMillisecondsMax,
  checksAtOnceMax,
  connectionsMax,
  hashesWaitingMax,
  pollMilliseconds,
  uidLimits,
} from './limits.ts'
import { Passwords } from './passwords.ts'
import { Tokens } from './tokens.ts'

const clock = realClock
const ticketLimits = { admitMilliseconds: admitMillisecondsMax, checkMilliseconds: checkMillisecondsMax }

export async function serve(): Promise<void> {
  const { values } = parseArgs({
    options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
  })
  const log = openLog('authd')
  const home = homeAt(values.home ?? '.')
  process.umask(0o077)
  const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
  let stopped = (): void => undefined
  const program = supervised(
    log,
    {
      stop: () => Promise.resolve(stopped()),
      reload: () => control.reload(['locals']),
      troubles: () => [...source.troubles(), ...lockTroubles(guard, source), ...controlTroubles(control, 'authd')],
      counts: () => conversations.counts,
    },
    values.listen?.split(',') ?? ['authd', 'authd-admin'],
  )
  control.demandFor('authd', program.fail)
  const passwords = new Passwords(await openSaltKey(home, log), clock, realRandom)
  const guard = new LoginGuard({ directory: home.auth, clock, onAlert: (text) => log(`alert: ${text}`) })
  const tickets = new TicketClient(() => connectPath(socketPath(home, 'lspawn-tickets')), clock, ticketLimits)
  const ownHost = (): ByteString => control.optionalLine('envnoathost') ?? ''
  const locals = (): readonly ByteString[] => control.list('locals') ?? []
  const onChange = (lost: readonly ByteString[]): void => {
    passwords.forget()
    for (const account of lost) {
      log(`sessions of ${printable(account)} end: a password of it was taken away`)
      for (const name of spellings(account, ownHost(), locals())) tickets.revoke(name)
    }
  }
  const hasChecker = (): boolean => control.isPresent('checkpassword')
  const source = new CredentialsSource({ home, clock, log, hasChecker, onChange })
  const tokens = new Tokens(home, clock, () => control.list('oauthissuers') ?? [])
  const uids = new Remembered<number | undefined>(clock, uidLimits)
  const authenticator = new Authenticator({
    accounts: () => source.current(),
    isUnreadable: (account) => source.isUnreadable(account),
    passwords,
    guard,
    tickets,
    tokens,
    checks: new Slots({ atOnceMax: checksAtOnceMax, waitingMax: hashesWaitingMax }, clock),
    random: realRandom,
    ownHost,
    locals,
    hasChecker,
    uidOf: (user) => uids.get(user, async () => (await findAccount(user))?.uid),
  })
  const isPossible = (one: Mechanism): boolean =>
    one.startsWith('SCRAM-') ? source.hasVerifiers : !one.includes('OAUTH') || tokens.isConfigured
  const offered = (): readonly Mechanism[] => {
    const wanted = control.list('saslmechanisms')?.map(readMechanism) ?? usualMechanisms
    return [...new Set(wanted)].filter((one) => one !== undefined && isPossible(one)) as Mechanism[]
  }
  const conversations = new Conversations({ clock, random: realRandom, log, authenticator, offered })
  const look = async (): Promise<void> => {
    control.refresh()
    await source.look()
    conversations.offerAgain()
    clock.after(pollMilliseconds, () => void look())
  }
  await look()
  const admin = serveDescriptor(
    program.listeners.get('authd-admin') ?? program.fail('--listen authd-admin is missing'),
    (socket) => serveAdmin(socket, clock, (request) => answerAbout(guard, clock, request)),
  )
  admin.maxConnections = connectionsMax
  stopped = () => {
    admin.close()
    conversations.close()
    tickets.close()
    guard.close()
  }
  await conversations.serve(program.listeners.get('authd') ?? program.fail('--listen authd is missing'))
  program.ready()
}

function lockTroubles(guard: LoginGuard, source: CredentialsSource): Trouble[] {
  return guard
    .lockedAccounts((account) => source.has(account))
    .map(({ name, count, untilMs }) => {
      const text = `${count} failures, locked until ${new Date(untilMs).toISOString()}`
      return { kind: 'account-locked', where: toText(name), text }
    })
}

async function openSaltKey(home: Home, log: Log): Promise<string> {
  try {
    return await saltKey(realFiles, home, realRandom)
  } catch (error) {
    log(`alert: auth/salt-key: ${describeError(error)}; names that are no accounts can be told apart after a restart`)
    return realRandom.bytes(32).toString('latin1')
  }
}
