/** signer: makes DKIM-Signatures, for `queue` only. The only program that reads the private keys in control/domainkeys. Runs
 *  only with control/dkimdomains.
 *  Touches: control/{dkimdomains,dkimusers,domainkeys/}, users/ (reads), the machine's accounts.
 *  Never:   sees a body, or talks to the network.
 *  Fails:   tells `queue`, which temporarily refuses messages that should be signed. */
import { parseArgs } from 'node:util'
import {
  decodeSignQuestion,
  encodeSignAnswer,
  type SignAnswer,
  type SignQuestion,
  signedHeaderBytesMax,
} from '../../contracts/signing.ts'
import { domainOf } from '../../protocols/reports/plain-address.ts'
import { Control } from '../../stores/control/control.ts'
import { OwnAddresses } from '../../stores/control/own-addresses.ts'
import { reportAddress } from '../../stores/control/report-address.ts'
import { routingTables } from '../../stores/control/routing-tables.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { homeAt, type Role } from '../../stores/home/layout.ts'
import { SigningKeys } from '../../stores/signing-keys/signing-keys.ts'
import { AccountBook, UserLookup } from '../../stores/users/lookup-user.ts'
import { type Account, findAccount, findAccountByUid } from '../../system/accounts.ts'
import { realClock as clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { FrameServer } from '../../system/frame-server.ts'
import { interfaceAddressReader } from '../../system/interfaces.ts'
import { openLog } from '../../system/log.ts'
import { supervised } from '../../system/supervised.ts'
import { DomainOwners } from './domain-owners.ts'
import { signatures, type SignerWorld } from './signatures.ts'

/** A little more than the header: the frame's other fields. */
const questionBytesMax: number = signedHeaderBytesMax + 1024

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string', default: 'queue-signer' }, demo: { type: 'boolean' } },
})
const log = openLog('signer')
const home = homeAt(values.home ?? '.')
const { ready, listeners } = supervised(log, { stop }, values.listen.split(','))
const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const ownAddresses = new OwnAddresses(
  control,
  interfaceAddressReader(() => clock.monotonic()),
  (problem) => log(`warning: ${problem}`),
)
const keys = new SigningKeys(home)
const alias = await accountOfRole('alias')
const reporterUid = values.demo === true ? process.getuid?.() : (await accountOfRole('policy'))?.uid
const accounts = values.demo === true ? undefined : new AccountBook(clock)
const owners = new DomainOwners({
  home,
  files: realFiles,
  users: new UserLookup(home, { accounts, alias: () => Promise.resolve(alias) }),
  tables: () => routingTables(control, ownAddresses),
  listed: () => control.map('dkimusers'),
  aliasUid: alias?.uid,
  reporterUid,
  reportsDomain,
  find: findAccountByUid,
})
const world: SignerWorld = {
  domains: () => control.map('dkimdomains'),
  key: (domain, selector) => keys.of({ domain, selector }),
  owns: (uid, domain) => owners.owns(uid, domain),
  now: () => Math.floor(clock.now() / 1000),
}
const servers = [...listeners.values()].map(
  (fd) =>
    new FrameServer(fd, {
      socket: 'queue-signer',
      purpose: 'signing',
      clock,
      log,
      frameBytesMax: questionBytesMax,
      accept: (connection) => ({
        onFrame: (frame) => void answer(decodeSignQuestion(frame), (reply) => connection.send(encodeSignAnswer(reply))),
        onClose: () => undefined,
      }),
    }),
)
await Promise.all(servers.map((server) => server.listening()))
ready()

async function accountOfRole(role: Role): Promise<Account | undefined> {
  return await findAccount(accountName(control.map('roles'), role)).catch(() => undefined)
}

function reportsDomain(): string | undefined {
  const address = reportAddress(home, control)
  return address === undefined ? undefined : domainOf(address)
}

async function answer(question: SignQuestion, send: (reply: SignAnswer) => void): Promise<void> {
  const answered = await signatures(question, world)
  if (answered.kind === 'failed') log(`alert: cannot sign: ${answered.why}`)
  send({ ...answered, ref: question.ref })
}

async function stop(): Promise<void> {
  for (const server of servers) server.close()
}
