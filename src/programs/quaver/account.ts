/** `quaver account add`, `list` and `remove`. */
import { addAccount, listAccounts, removeAccount } from '../../stores/accounts/accounts.ts'
import { parseAccountAddress, textOf } from '../../stores/accounts/address.ts'
import { deleteMail } from '../../stores/accounts/mailbox.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { deriveSecrets } from '../../stores/credentials/derive.ts'
import { readQuota } from '../../stores/maildir/quota-file.ts'
import { fromText } from '../../base/byte-string.ts'
import { realFiles } from '../../system/files.ts'
import { quickFiles } from '../../system/quick-files.ts'
import { realRandom } from '../../system/random.ts'
import { limitMaildir } from './account-quota.ts'
import { aliasForJson, describeChange } from './alias.ts'
import { noAccount } from './mailbox-account.ts'
import { confirm, readPassword } from './ask-person.ts'
import { formatBytes, parseSize } from './bytes.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { prepareKeys } from './dkim.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson, styled, table } from './output.ts'
import { changing, isOwn, ownerFor, reload } from './site-change.ts'

export interface AddOptions extends GlobalOptions {
  readonly passwordStdin?: true
  readonly user?: string
  readonly ownUid?: true
  readonly quota?: string
  readonly withOldMail?: true
}

export async function add(text: string, options: AddOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const address = parseAccountAddress(text)
    const quota = options.quota === undefined ? undefined : parseSize(options.quota)
    const ownUid = options.ownUid === true
    if (ownUid && isOwn(home))
      throw new CommandError('--own-uid: only root, in a system home, can give mail to another account', exitCode.usage)
    if (ownUid && options.user === undefined)
      throw new CommandError(
        '--own-uid needs an account of the machine for this address alone: --user NAME',
        exitCode.usage,
      )
    const owner = await ownerFor(home, address.domain, options.user)
    const password = options.passwordStdin === true ? await readPassword() : newPassword(realRandom)
    const oldMail = options.withOldMail === true ? 'given' : 'refused'
    await addAccount(realFiles, home, { address, owner, ownUid, oldMail, secrets: await deriveSecrets(password) })
    await prepareKeys(home, address.domain)
    const added = (await listAccounts(realFiles, home)).find((one) => one.address === textOf(address))
    if (quota !== undefined && added !== undefined) await limitMaildir(added, quota)
    const reloaded = await reload(home)
    report(textOf(address), options.passwordStdin === true ? undefined : password, reloaded, options)
  })
}

export async function list(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const accounts = (await listAccounts(realFiles, home)).map((account) => {
    const found = readQuota(quickFiles, fromText(`${account.maildir}/`))
    return { ...account, quota: found === undefined ? null : { limit: found.limit, used: found.used } }
  })
  if (options.json === true) return printJson(accounts)
  if (accounts.length === 0) return print("no accounts: 'quaver account add name@domain' makes one")
  const rows = accounts.map(({ address, user, maildir, disabled, quota }) => {
    const limit = quota?.limit.bytes
    const room = limit === undefined ? '' : `${formatBytes(quota?.used.bytes ?? 0)} of ${formatBytes(limit)}`
    return [address, user, disabled ? styled('yellow', 'disabled') : '', room, maildir]
  })
  print(table(rows))
}

export async function remove(text: string, options: GlobalOptions & { deleteMail?: true; yes?: true }): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const address = parseAccountAddress(text)
    const account = (await listAccounts(realFiles, home)).find((one) => one.address === textOf(address))
    if (account === undefined) throw noAccount(textOf(address))
    const deletes = options.deleteMail === true
    if (deletes)
      await confirm(`remove ${account.address} and delete all its mail in ${account.home}`, options.yes === true)
    const changed = await removeAccount(realFiles, home, address)
    const left = deletes ? await deleteMail(home, address, account) : undefined
    if (options.json === true)
      printJson({
        address: account.address,
        mail: deletes && left === undefined ? null : account.home,
        aliases: changed.map(aliasForJson),
      })
    else {
      print(`account ${account.address} is gone: nothing is delivered to it any more, and nobody can log in`)
      for (const one of changed) print(`  ${describeChange(one)}`)
      if (!deletes)
        print(`its mail stays in ${account.home}; an account of the same name gets it only with --with-old-mail`)
    }
    if (left !== undefined) throw new CommandError(`not all of its mail could be deleted: ${left}`)
  })
}

function report(address: string, password: string | undefined, reloaded: boolean, options: GlobalOptions): void {
  if (options.json === true) return printJson({ address, ...(password === undefined ? {} : { password }), reloaded })
  print(`account ${address} is there`)
  if (password !== undefined) print(`password: ${password}   (shown only now)`)
  print(`what to type into a mail program: quaver account show ${address}`)
  if (!reloaded) print('Quaver does not run on this home; it will know the account when it starts')
}
