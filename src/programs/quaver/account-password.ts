/** `quaver account password`, `disable` and `enable`. */
import { fromText } from '../../base/byte-string.ts'
import { newPassword } from '../../stores/accounts/new-password.ts'
import { Control } from '../../stores/control/control.ts'
import { removeCredential, setCredential, setDisabled } from '../../stores/credentials/credentials.ts'
import { spellings } from '../../stores/credentials/spellings.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { readPassword } from './ask-person.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { requireAccount } from './mailbox-account.ts'
import { print, printJson } from './output.ts'
import { changing } from './site-change.ts'

export interface PasswordOptions extends GlobalOptions {
  readonly passwordStdin?: true
  readonly app?: string
  readonly removeApp?: string
}

export async function password(text: string, options: PasswordOptions): Promise<void> {
  const home = requireHome(options)
  const { app, removeApp, passwordStdin } = options
  if (removeApp !== undefined && (app !== undefined || passwordStdin === true))
    throw new CommandError('--remove-app goes alone', exitCode.usage)
  if (app === '' || removeApp === '') throw new CommandError('an app password needs a name', exitCode.usage)
  await changing(home, async () => {
    const { address } = await requireAccount(home, text)
    if (removeApp !== undefined) return await removeAppPassword(home, address, removeApp, options)
    const made = passwordStdin === true ? undefined : newPassword(realRandom)
    await setCredential(home, address, app ?? '', made ?? (await readPassword()))
    if (options.json === true)
      printJson({ address, app: app ?? null, ...(made === undefined ? {} : { password: made }) })
    else {
      print(app === undefined ? `${address} has a new password` : `${address} has an app password '${app}'`)
      if (made !== undefined) print(`password: ${made}   (shown only now)`)
    }
  })
}

/** Logins end; mail still arrives. */
export async function able(text: string, disabled: boolean, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const { address } = await requireAccount(home, text)
    // By whatever name it was disabled, it is not any more.
    await setDisabled(home, address, disabled, disabled ? [] : otherNames(home, address))
    if (options.json === true) printJson({ address, disabled })
    else if (disabled)
      print(
        `${address} is disabled: nobody can log in, to read or to send. Mail for it is still delivered.\nIts passwords are kept: quaver account enable ${address}`,
      )
    else print(`${address} is enabled: its passwords work again`)
  })
}

function otherNames(home: Home, address: string): string[] {
  const control = new Control(home.control, realClock)
  return spellings(fromText(address), control.optionalLine('envnoathost') ?? '', control.list('locals') ?? [])
}

async function removeAppPassword(home: Home, address: string, app: string, options: GlobalOptions): Promise<void> {
  if (!(await removeCredential(home, address, app)))
    throw new CommandError(`${address} has no app password '${app}' ('quaver account show ${address}' names them)`)
  if (options.json === true) printJson({ address, removed: app })
  else print(`the app password '${app}' of ${address} works no more`)
}
