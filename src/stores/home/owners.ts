/** Which account of the machine each role of a system home runs as: qmail's names, or what control/roles says.
 *  Fails:  throws HomeError that names account, role, file and remedy. */
import { describeError } from '../../base/outcome.ts'
import { findAccount } from '../../system/accounts.ts'
import { accountName } from './account-name.ts'
import type { Role } from './layout.ts'
import { HomeError, type Owner, type OwnerOf } from './make.ts'

/** Roles that are not needed are root's: a host without smtpd needs no qmaild. */
export async function findOwners(
  needed: ReadonlySet<Role>,
  overrides: ReadonlyMap<string, string> | undefined,
): Promise<NonNullable<OwnerOf>> {
  const root: Owner = { account: 'root', uid: 0, gid: 0 }
  const owners = new Map<Role, Owner>()
  const faults: string[] = []
  for (const role of needed) {
    if (role === 'root') continue
    const name = accountName(overrides, role)
    const found = await lookUp(name)
    if (found === undefined) faults.push(missing(role, name))
    else if (found.uid === 0) faults.push(`control/roles: role '${role}' must not run as '${name}', which is root`)
    else owners.set(role, found)
  }
  if (faults.length > 0) throw new HomeError(faults.join('\n'))
  return (role) => owners.get(role) ?? root
}

async function lookUp(name: string): Promise<Owner | undefined> {
  try {
    const account = await findAccount(name)
    return account === undefined ? undefined : { account: name, uid: account.uid, gid: account.gid }
  } catch (error) {
    throw new HomeError(`cannot look up the account '${name}': ${describeError(error)}`)
  }
}

function missing(role: Role, name: string): string {
  const remedy = `useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ${name}`
  return `there is no account '${name}' for the role '${role}': ${remedy}, or name another in control/roles (${role}:account)`
}
