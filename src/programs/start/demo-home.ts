/** Makes the demo's home: a mail host `quaver.test` with one account, everything owned by the caller. What is there is
 *  left as it is, so a second start finds the same mail. Loaded only in the demo. */
import { join } from 'node:path'
import { userInfo } from 'node:os'
import { addAccount, listAccounts } from '../../stores/accounts/accounts.ts'
import { parseAccountAddress } from '../../stores/accounts/address.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { deriveSecrets } from '../../stores/credentials/derive.ts'
import type { Home } from '../../stores/home/layout.ts'
import { HomeError, makeHome } from '../../stores/home/make.ts'
import { readTls, writeSelfSigned } from '../../stores/home/tls-files.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles, replaceFile } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'

const passwordBytesMax = 1024
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
  const isNew = (await realFiles.facts(join(home.control, 'me'))) === undefined
  const passwordPath = join(home.path, 'demo-password')
  const known = await realFiles.read(passwordPath, passwordBytesMax)
  if (!isNew && known === undefined)
    throw new HomeError(`${home.path} is there, but it is not a demo's home: choose another with --home`)
  await makeHome(home.path, undefined)
  const password = known?.toString('utf8').trim() ?? newPassword(realRandom)
  // Before anything else: this file says that the home is a demo's.
  if (known === undefined) await replaceFile(realFiles, passwordPath, Buffer.from(`${password}\n`), 0o600)
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

/** control/me comes last: it says that the others are there. */
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
  // What `quaver send` sends is from the caller: bounces must come back.
  const alsoFor = /^[a-z0-9_][a-z0-9._-]*$/.test(user) ? [user] : []
  await addAccount(realFiles, home, { address, owner: { user, uid, gid }, secrets, alsoFor })
  return true
}
