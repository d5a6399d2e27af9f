/** `quaver domain add`, `list` and `remove`. */
import { toText } from '../../base/byte-string.ts'
import { listAccounts } from '../../stores/accounts/accounts.ts'
import { parseDomain, parseTarget, textOf } from '../../stores/accounts/address.ts'
import { addDomain, listDomains, removeDomain } from '../../stores/accounts/domains.ts'
import { deleteMail } from '../../stores/accounts/mailbox.ts'
import { realFiles } from '../../system/files.ts'
import { aliasForJson, describeChange } from './alias.ts'
import { confirm } from './ask-person.ts'
import { prepareKeys } from './dkim.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson, table } from './output.ts'
import { changing, forwarderFor, reload } from './site-change.ts'

export async function add(text: string, options: GlobalOptions & { to?: string }): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const domain = parseDomain(text)
    const target = options.to === undefined ? undefined : parseTarget(options.to)
    const to = await addDomain(realFiles, home, domain, target, await forwarderFor(home, domain))
    await prepareKeys(home, domain)
    const reloaded = await reload(home)
    if (options.json === true) return printJson({ domain, roles: to === undefined ? null : toText(to), reloaded })
    print(`${domain} is hosted here`)
    print(
      to === undefined
        ? `postmaster, abuse and hostmaster will lead to its first account: quaver account add NAME@${domain}`
        : `postmaster, abuse and hostmaster lead to ${toText(to)}`,
    )
    print(`what to publish in DNS: quaver dns ${domain}`)
    if (!reloaded) print('Quaver does not run on this home; it will know the domain when it starts')
  })
}

export async function list(options: GlobalOptions): Promise<void> {
  const domains = await listDomains(realFiles, requireHome(options))
  if (options.json === true) return printJson(domains)
  if (domains.length === 0) return print("no domains: 'quaver domain add example.org' hosts one")
  print(
    table(domains.map((one) => [one.domain, count(one.accounts, 'account'), count(one.aliases, 'alias', 'aliases')])),
  )
}

export interface RemoveOptions extends GlobalOptions {
  readonly accounts?: true
  readonly deleteMail?: true
  readonly yes?: true
}

export async function remove(text: string, options: RemoveOptions): Promise<void> {
  const home = requireHome(options)
  const { accounts: withAccounts = false, deleteMail: deletes = false } = options
  if (deletes && !withAccounts)
    throw new CommandError(
      '--delete-mail deletes the mail of accounts that are removed: give --accounts, too',
      exitCode.usage,
    )
  await changing(home, async () => {
    const domain = parseDomain(text)
    if (withAccounts) {
      const own = (await listAccounts(realFiles, home)).filter(({ address }) => address.endsWith(`@${domain}`))
      const what = `remove ${domain} with ${count(own.length, 'account')}`
      if (own.length > 0) await confirm(deletes ? `${what} and delete all their mail` : what, options.yes === true)
    }
    const { accounts: gone, aliases } = await removeDomain(realFiles, home, domain, withAccounts)
    const left: string[] = []
    for (const account of deletes ? gone : []) {
      const rest = await deleteMail(home, account, account)
      if (rest !== undefined) left.push(rest)
    }
    const reloaded = await reload(home)
    if (options.json === true)
      printJson({ domain, accounts: gone.map(textOf), aliases: aliases.map(aliasForJson), reloaded })
    else {
      print(`${domain} is not hosted here any more`)
      for (const account of gone)
        print(`  account ${textOf(account)} is gone${deletes ? '' : `; its mail stays in ${account.directory}`}`)
      for (const alias of aliases) print(`  ${describeChange(alias)}`)
    }
    if (left.length > 0) throw new CommandError(`not all mail could be deleted:\n${left.join('\n')}`)
  })
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
