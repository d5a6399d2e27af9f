/** `quaver account show`: what to type into a mail program, and the state of the account. */
import type { Account } from '../../stores/accounts/accounts.ts'
import { listAliases } from '../../stores/accounts/aliases.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realFiles } from '../../system/files.ts'
import { describeUse, type MailboxUse, measure } from './account-quota.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { listeningServices, type MailService, mailServices, serverName } from './mail-services.ts'
import { requireAccount } from './mailbox-account.ts'
import { print, printJson, styled, table } from './output.ts'
import { changing } from './site-change.ts'

export async function show(text: string, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const account = await requireAccount(home, text)
    const { address } = account
    const server = await serverOf(home)
    const use = await measure(account)
    const aliases = (await listAliases(realFiles, home))
      .filter(({ targets }) => targets.includes(address))
      .map((alias) => alias.address)
    if (options.json === true)
      printJson({
        ...account,
        ...use,
        aliases,
        server: server.host,
        services: server.services,
        warnings: server.warnings,
      })
    else print(shown(account, server, use, aliases))
  })
}

interface Server {
  readonly host: string
  readonly services: readonly MailService[]
  readonly warnings: readonly string[]
}

/** As it runs; with nothing running, as it will by default. */
async function serverOf(home: Home): Promise<Server> {
  const { host, warnings } = await serverName(home)
  const running = await listeningServices(home)
  if (running === undefined) return { host, services: mailServices, warnings: [...warnings, 'Quaver does not run now'] }
  const { services, onlyLoopback } = running
  if (services.length === 0) return { host, services, warnings: [...warnings, 'no service for mail programs listens'] }
  const local = onlyLoopback ? ['only programs on this machine reach it, at 127.0.0.1'] : []
  return { host, services, warnings: [...warnings, ...local] }
}

function shown(account: Account, server: Server, use: MailboxUse, aliases: readonly string[]): string {
  const { address, disabled, hasPassword, apps, user, uid, ownUid, maildir } = account
  const services = server.services.map(({ name, use: purpose, title, port, security }) => [
    `  ${purpose === 'sending' ? 'send (SMTP)' : `fetch (${title})`}`,
    server.host,
    `port ${port}`,
    security === 'TLS' ? 'SSL/TLS' : 'STARTTLS',
    name.endsWith('s') ? 'preferred' : '',
  ])
  const state = disabled ? styled('yellow', 'disabled: nobody can log in; mail is still delivered') : 'enabled'
  const facts = [
    ['  state', state],
    ['  password', hasPassword ? 'set' : `none: quaver account password ${address}`],
    ['  app passwords', apps.length === 0 ? 'none' : apps.join(', ')],
    ['  aliases', aliases.length === 0 ? 'none' : aliases.join(', ')],
    ['  mailbox', describeUse(use)],
    ['  Maildir', maildir],
    ['  owner', `${user} (uid ${uid}${ownUid ? ', for this address alone' : ''})`],
  ]
  return [
    styled('bold', `In a mail program, for ${address}:`),
    table(services),
    table([
      ['  user name', address],
      ['  password', 'that of the account, or an app password'],
    ]),
    ...server.warnings.map((text) => `  ${styled('yellow', 'note')}  ${text}`),
    '',
    styled('bold', 'The account:'),
    table(facts),
  ].join('\n')
}
