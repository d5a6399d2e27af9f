/** The steps of `quaver setup`, in their order. Each checks first whether it is done, so that a second run goes on where the
 *  first one ended, and a third does nothing.
 *  Knows:  what is recorded before it is made (stores/installation/made.ts). Never: edits existing files.
 *  Fails:  throws; finished steps stay, and are recorded. */
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { addAccount, completeAccount, listAccounts } from '../../../stores/accounts/accounts.ts'
import { textOf } from '../../../stores/accounts/address.ts'
import { newPassword } from '../../../stores/accounts/new-password.ts'
import { deriveSecrets } from '../../../stores/credentials/derive.ts'
import { accountName } from '../../../stores/home/account-name.ts'
import { hostAddresses, hostAliasFile, reportsAlias, reportsAliasText } from '../../../stores/home/host-aliases.ts'
import { accountOf, directories, type Role, socketPath } from '../../../stores/home/layout.ts'
import { makeHome } from '../../../stores/home/make.ts'
import { findOwners } from '../../../stores/home/owners.ts'
import { readTls, tlsPaths, writeSelfSigned } from '../../../stores/home/tls-files.ts'
import { MadeThings, type Making } from '../../../stores/installation/made.ts'
import { keyPath } from '../../../stores/signing-keys/signing-keys.ts'
import { makeAccount } from '../../../system/account-changes.ts'
import { findAccount } from '../../../system/accounts.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { realRandom } from '../../../system/random.ts'
import { isRunning } from '../context.ts'
import { firstSelectors, makeFirstKeys, signerAccount } from '../dkim.ts'
import { CommandError } from '../exit.ts'
import type { ServiceFile } from '../services/description.ts'
import { bootService, installService } from '../services/services.ts'
import { initSystems } from '../services/systems.ts'
import { sendmailSteps } from './machine-sendmail.ts'
import { placeOf, type SetupPlan } from './plan.ts'
import { varQmailLinks } from './var-qmail.ts'

export interface Step {
  /** What there will be. */
  readonly title: string
  readonly isDone: () => Promise<boolean>
  /** What is to be told besides; undefined: nothing. */
  readonly take: (made: MadeThings) => Promise<string | undefined>
}

/** The account of the role issuers is left to administrators who want tokens. */
function rolesOf({ acme }: SetupPlan): Role[] {
  const left: readonly Role[] = acme === undefined ? ['root', 'issuers', 'acme', 'httpd'] : ['root', 'issuers']
  return (Object.keys(accountOf) as Role[]).filter((role) => !left.includes(role))
}

export interface Passwords {
  /** Of the first account, if it was made now, or again because nobody may have seen the one before. */
  first: string | undefined
}

export function stepsOf(plan: SetupPlan, passwords: Passwords): Step[] {
  return [
    ...(plan.configuration === undefined ? [] : configurationSteps(plan)),
    ...controlSteps(plan),
    ...accountSteps(plan),
    homeStep(plan),
    ...(plan.smarthostLogin === undefined ? [] : [secretStep(plan, plan.smarthostLogin)]),
    ...hostAddresses.map((name) => aliasStep(plan, name)),
    reportsAliasStep(plan),
    certificateStep(plan),
    signingKeysStep(plan),
    firstAccountStep(plan, passwords),
    unseenPasswordStep(plan, passwords),
    ...(plan.varQmail ? varQmailSteps(plan) : []),
    ...sendmailSteps(plan),
    ...(plan.service === undefined ? [] : [serviceStep(plan, plan.service)]),
  ]
}

/** Configuration in /etc, and links to it in the home. */
function configurationSteps(plan: SetupPlan): Step[] {
  return (['control', 'users', 'tls'] as const).map((name) => ({
    title: `${placeOf(plan, name)}, and ${plan.home[name]}, which leads there`,
    isDone: async () => existsSync(plan.home[name]),
    take: async (made) => {
      await made.directory(plan.home.path)
      await made.directory(placeOf(plan, name), name === 'tls' ? 0o700 : 0o755)
      await made.link(plan.home[name], placeOf(plan, name))
      return undefined
    },
  }))
}

function controlSteps(plan: SetupPlan): Step[] {
  const { host, address, accounts, smarthost, acme } = plan
  const files: Record<string, string> = { me: host, rcpthosts: host }
  // A domain of accounts is none of the machine's own users.
  if (address.domain === host) files['locals'] = 'localhost'
  if (address.domain === host) files['rcpthosts'] = 'localhost'
  if (accounts.size > 0) files['roles'] = [...accounts].map(([role, name]) => `${role}:${name}`).join('\n')
  if (smarthost !== undefined) files['smtproutes'] = `:${smarthost.host}:${smarthost.port}`
  // A port of its own only where acme is new: whoever has another server there has that show the challenges, or has a hook.
  const isNew = !existsSync(join(plan.home.control, 'acme')) && !existsSync(join(plan.home.control, 'acmehook'))
  if (acme !== undefined && isNew) files['listen-http'] = everywhere(80).join('\n')
  if (acme !== undefined) files['acme'] = acme
  return Object.entries(files).map(([name, text]) => {
    const path = join(plan.home.control, name)
    return {
      title: `${path}: ${text.replaceAll('\n', ', ')}`,
      isDone: async () => existsSync(path),
      take: async (made) => {
        await made.directory(plan.home.path)
        await made.directory(plan.home.control)
        await made.file(path, `${text}\n`, 0o644)
        return undefined
      },
    }
  })
}

function everywhere(port: number): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some ?? [])
  return [`0.0.0.0:${port}`, ...(addresses.some(({ family }) => family === 'IPv6') ? [`[::]:${port}`] : [])]
}

function accountSteps(plan: SetupPlan): Step[] {
  const names = new Map(
    rolesOf(plan).map((role) => [nameOf(plan, role), role === 'alias' ? plan.home.alias : plan.home.path]),
  )
  names.set(plan.mailUser, plan.home.mail)
  return [...names].map(([name, home]) => ({
    title: `the account ${name} of this machine`,
    isDone: async () => (await findAccount(name)) !== undefined,
    take: async (made) => {
      await made.directory(plan.home.path)
      await made.note({ kind: 'account', path: name })
      await makeAccount(name, home)
      return undefined
    },
  }))
}

function nameOf(plan: SetupPlan, role: Role): string {
  return accountName(plan.accounts, role)
}

function homeStep(plan: SetupPlan): Step {
  const { home } = plan
  const missing = (): string[] =>
    directories.map(({ name }) => join(home.path, name)).filter((path) => path !== home.path && !existsSync(path))
  return {
    title: `the home ${home.path}`,
    isDone: async () => missing().length === 0,
    take: async (made) => {
      for (const path of missing()) await made.note({ kind: 'directory', path })
      await makeHome(home.path, await findOwners(new Set(rolesOf(plan)), plan.accounts))
      return undefined
    },
  }
}

function secretStep(plan: SetupPlan, login: string): Step {
  const path = join(plan.home.control, 'smarthostsecrets')
  return {
    title: `${path}, which remote alone can read`,
    isDone: async () => existsSync(path),
    take: async (made) => {
      const owner = await findAccount(nameOf(plan, 'remote'))
      await made.file(path, `${login}\n`, 0o600, owner)
      return undefined
    },
  }
}

function aliasStep(plan: SetupPlan, name: string): Step {
  const path = hostAliasFile(plan.home, name)
  const target = textOf(plan.address)
  return {
    title: `mail for ${name} goes to ${target}`,
    isDone: async () => existsSync(path),
    take: async (made) => {
      const owner = await findAccount(nameOf(plan, 'alias'))
      return toldIfKept(path, await made.file(path, `&${target}\n`, 0o644, owner))
    },
  }
}

function reportsAliasStep(plan: SetupPlan): Step {
  const { home } = plan
  const text = reportsAliasText(home, `&${textOf(plan.address)}`)
  const path = hostAliasFile(home, reportsAlias)
  return {
    title: `${reportsAlias} takes reports about our domains (quaver dmarc reports)`,
    isDone: async () => existsSync(path),
    take: async (made) => {
      const owner = await findAccount(nameOf(plan, 'alias'))
      return toldIfKept(path, await made.file(path, text, 0o644, owner))
    },
  }
}

function certificateStep(plan: SetupPlan): Step {
  const { home, host } = plan
  const paths = tlsPaths(home.tls)
  return {
    title: `${paths.certificate}: a certificate for ${host}, signed by itself until ${plan.acme === undefined ? 'you put a better one there' : 'the authority has made one'}`,
    // One that cannot be used is for a person to mend: 'quaver doctor' names it.
    isDone: async () => (await readTls(home.tls)).kind !== 'absent' || existsSync(paths.certificate),
    take: async (made) => {
      if (!(await made.expect(paths.key, 0o600)) || !(await made.expect(paths.certificate, 0o644)))
        return `${home.tls} has a key without a certificate: left alone`
      await writeSelfSigned(realFiles, home.tls, host, realClock, realRandom)
      await made.written(paths.key, 0o600)
      await made.written(paths.certificate, 0o644)
      return undefined
    },
  }
}

/** Before the first start, so that the first mail is signed. */
function signingKeysStep(plan: SetupPlan): Step {
  const { home } = plan
  const domain = plan.address.domain
  const rules = join(home.control, 'dkimdomains')
  return {
    title: `keys that sign mail from ${domain} (DKIM): ${firstSelectors.join(', the next one ')}`,
    isDone: async () => {
      const made = await MadeThings.read(home.path)
      const known = existsSync(home.control) ? made.find(join(await realpath(home.control), 'dkimdomains')) : undefined
      // Existing rules of the administrator stay, and removed ones stay removed.
      if (known === undefined ? existsSync(rules) : known.kind === 'file' && known.sha256 !== '') return true
      // Where mail is under way without a signer, it would wait for one: keys are for 'quaver dkim keygen' and a restart then.
      return (await isRunning(home)) && !existsSync(socketPath(home, 'queue-signer'))
    },
    take: async (made) => {
      const owner = await signerAccount(home)
      const named = owner === undefined ? undefined : { name: nameOf(plan, 'signer'), ...owner }
      const directory = join(placeOf(plan, 'control'), 'domainkeys')
      await made.directory(directory, 0o700, named)
      await made.directory(join(directory, domain), 0o700, named)
      const keys = firstSelectors.map((selector) => keyPath(home, { domain, selector }))
      const ours: string[] = []
      for (const path of keys) if (await made.expect(path, 0o400, named)) ours.push(path)
      await made.expect(rules, 0o644)
      await makeFirstKeys(home, domain)
      for (const path of ours) await made.written(path, 0o400, named)
      await made.written(rules, 0o644)
      return undefined
    },
  }
}

function firstAccountStep(plan: SetupPlan, passwords: Passwords): Step {
  const { home, address, mailUser } = plan
  const isThere = async (): Promise<boolean> =>
    existsSync(home.users) && (await listAccounts(realFiles, home)).some((one) => one.address === textOf(address))
  return {
    title: `the account ${textOf(address)}, whose mail belongs to ${mailUser}`,
    isDone: isThere,
    take: async (made) => {
      const found = await findAccount(mailUser)
      if (found === undefined) throw new CommandError(`there is no account '${mailUser}'`)
      if (found.uid === 0) throw new CommandError('root never receives mail: name another account with --mail-user')
      const password = newPassword(realRandom)
      await made.note({ kind: 'unseen-password', path: textOf(address) })
      await addAccount(realFiles, home, {
        address,
        owner: { user: mailUser, uid: found.uid, gid: found.gid },
        secrets: await deriveSecrets(password),
        oldMail: 'given',
        // Mail of the machine's own programs is for names at the host.
        alsoFor: address.domain === plan.host ? ['root', 'mailer-daemon'] : [],
      })
      passwords.first = password
      return undefined
    },
  }
}

/** After a set-up that ended between the first line of the account and the end, where its password is shown. */
function unseenPasswordStep(plan: SetupPlan, passwords: Passwords): Step {
  const { home, address } = plan
  const isSeen = async (): Promise<boolean> => (await MadeThings.read(home.path)).find(textOf(address)) === undefined
  return {
    title: `a new password of ${textOf(address)}, in the place of one that nobody may have seen`,
    isDone: async () => passwords.first !== undefined || (await isSeen()),
    take: async () => {
      const password = newPassword(realRandom)
      await completeAccount(realFiles, home, address, password)
      passwords.first = password
      return undefined
    },
  }
}

function varQmailSteps(plan: SetupPlan): Step[] {
  const links = varQmailLinks(plan.home)
  const isOthers = existsSync('/var/qmail') && !links.some(({ path, target }) => leadsTo(path, target))
  // An existing qmail is left alone.
  if (isOthers) return []
  return links.map(({ path, target }) => ({
    title: `${path}, which leads to ${target}`,
    isDone: async () => isAnything(path),
    take: async (made) => toldIfKept(path, await made.link(path, target)),
  }))
}

function leadsTo(path: string, target: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true && readlinkSync(path) === target
}

function isAnything(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function serviceStep(plan: SetupPlan, name: NonNullable<SetupPlan['service']>): Step {
  const files = (): readonly ServiceFile[] => initSystems[name].files(bootService(plan.home))
  const paths = files().map(({ path }) => path)
  return {
    title: `files for ${initSystems[name].title}: ${paths.join(', ')}`,
    isDone: async () => {
      const made = await MadeThings.read(plan.home.path)
      for (const { path, text } of files()) if (!(await made.isSettled(path, text))) return false
      return true
    },
    take: async (made) => {
      const kept = (await installService(made, plan.home, name)).filter(({ making }) => making === 'kept')
      return kept.length === 0
        ? undefined
        : `${kept.map(({ path }) => path).join(', ')}: edited by somebody, left alone`
    },
  }
}

function toldIfKept(path: string, making: Making): string | undefined {
  return making === 'kept' ? `${path} is somebody's, and stays as it is` : undefined
}
