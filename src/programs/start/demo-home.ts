/** Makes the demo's home: a mail host `quaver.test` with one account, everything owned by the caller. Existing files stay as
 *  they are, so a second start finds the same mail. Loaded only in the demo. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { userInfo } from 'node:os'
import { describeError } from '../../base/outcome.ts'
import { addAccount, listAccounts } from '../../stores/accounts/accounts.ts'
import { parseAccountAddress } from '../../stores/accounts/address.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { deriveSecrets } from '../../stores/credentials/derive.ts'
import { homePathFault } from '../../stores/home/find.ts'
import { directories, type Home } from '../../stores/home/layout.ts'
import { HomeError, makeHome } from '../../stores/home/make.ts'
import { readTls, writeSelfSigned } from '../../stores/home/tls-files.ts'
import { realClock } from '../../system/clock.ts'
import { errorCode, realFiles, replaceFile } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'

const passwordBytesMax = 1024
/** Of a password file left half-written by a killed demo. */
const temporaryPrefix = '.demo-password.'
const domain = 'quaver.test'
export const demoAddress: string = `demo@${domain}`

const firstFiles: Readonly<Record<string, string>> = {
  'control/me': `${domain}\n`,
  'control/locals': 'localhost\n',
  'control/rcpthosts': `localhost\n${domain}\n`,
  'alias/.qmail-postmaster': `&${demoAddress}\n`,
  'alias/.qmail-mailer-daemon': `&${demoAddress}\n`,
  'alias/.qmail-root': `&${demoAddress}\n`,
}

export interface DemoHome {
  /** What was made now, in words; empty if all was there. */
  readonly made: readonly string[]
  /** The password, if it was made now. */
  readonly password: string | undefined
}

export async function makeDemoHome(home: Home): Promise<DemoHome> {
  const pathFault = homePathFault(home.path)
  if (pathFault !== undefined) throw new HomeError(pathFault)
  await entriesOf(home.path)
  const isNew = (await realFiles.facts(join(home.control, 'me'))) === undefined
  const passwordPath = join(home.path, 'demo-password')
  const known = await realFiles.read(passwordPath, passwordBytesMax)
  if (!isNew && known === undefined)
    throw new HomeError(`${home.path} is there, but it is not a demo's home: choose another with --home`)
  if (isNew && known === undefined) await refuseOthersDirectory(home.path)
  const password = known?.toString('utf8').trim() ?? newPassword(realRandom)
  // Before anything else: this file marks the home as a demo's.
  if (known === undefined) await writePassword(home.path, passwordPath, password)
  await makeHome(home.path, undefined)
  if (isNew) await writeFirstFiles(home)
  const madeCertificate = await makeCertificate(home)
  const madeAccount = await makeAccount(home, password)
  return {
    made: [
      ...(isNew ? ['the home'] : []),
      ...(madeCertificate ? ['a self-signed certificate'] : []),
      ...(madeAccount ? [`the account ${demoAddress}`] : []),
    ],
    password: known === undefined ? password : undefined,
  }
}

/** A demo needs a directory of its own, without other files; only control files may already be there. */
async function refuseOthersDirectory(path: string): Promise<void> {
  const own = new Set(directories.map(({ name }) => name))
  const other = (await entriesOf(path)).find((name) => !own.has(name) && !name.startsWith(temporaryPrefix))
  if (other !== undefined)
    throw new HomeError(
      `${path} is not empty (${other}), and no demo's home: choose a directory that is not there yet, as --home ${join(path, 'quaver-demo')}`,
    )
}

/** Empty if it does not exist. Throws HomeError if it is no directory. */
async function entriesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw new HomeError(`${path} cannot be a home: ${describeError(error)}`)
  }
}

async function writePassword(homePath: string, path: string, password: string): Promise<void> {
  await mkdir(homePath, { recursive: true })
  await replaceFile(realFiles, path, Buffer.from(`${password}\n`), 0o600)
}

/** control/me comes last: its presence means that the others exist. */
async function writeFirstFiles(home: Home): Promise<void> {
  for (const [name, text] of Object.entries(firstFiles).reverse())
    await replaceFile(realFiles, join(home.path, name), Buffer.from(text), 0o644)
}

async function makeCertificate(home: Home): Promise<boolean> {
  if ((await readTls(home.tls)).kind !== 'absent') return false
  await writeSelfSigned(realFiles, home.tls, domain, realClock, realRandom)
  return true
}

async function makeAccount(home: Home, password: string): Promise<boolean> {
  const accounts = await listAccounts(realFiles, home)
  if (accounts.some(({ address }) => address === demoAddress)) return false
  const { username: user, uid, gid } = userInfo()
  const address = parseAccountAddress(demoAddress)
  const secrets = await deriveSecrets(password)
  // `quaver send` uses the caller's name as sender: its bounces need a mailbox.
  const alsoFor = /^[a-z0-9_][a-z0-9._-]*$/.test(user) ? [user] : []
  await addAccount(realFiles, home, { address, owner: { user, uid, gid }, secrets, alsoFor, oldMail: 'given' })
  return true
}
