/** What submission sessions of one process have in common. */
import type { Enqueuer } from '../../../clients/queue/enqueuer.ts'
import type { ContentBudget } from '../../../clients/queue/content-budget.ts'
import { type SmtpLimits, smtpLimits } from '../../../servers/smtp/limits.ts'
import { Control } from '../../../stores/control/control.ts'
import { type ControlFile, controlFiles } from '../../../stores/control/table.ts'
import { accountName } from '../../../stores/home/account-name.ts'
import { accountOf, homeAt } from '../../../stores/home/layout.ts'
import { RulesFile } from '../../../stores/tcprules/rules-file.ts'
import { AccountBook, UserLookup, type UserWorld } from '../../../stores/users/lookup-user.ts'
import type { Clock } from '../../../system/clock.ts'
import { Launcher } from '../../../system/launcher.ts'
import type { Log } from '../../../system/log.ts'
import type { Random } from '../../../system/random.ts'
import { Usage } from './usage.ts'

export interface SubmissionTools {
  /** Filters start there, as qmail-queue's would. */
  readonly homePath: string
  readonly control: Control
  /** Of the listener, control/tcprules/ofmip: what they set counts here. */
  readonly rules: Pick<RulesFile, 'current'>
  /** By whom an address is answered: the code that delivers. */
  readonly users: Pick<UserLookup, 'lookup'>
  readonly queue: Enqueuer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly limits: SmtpLimits
  readonly budget: ContentBudget
  readonly launcher: Launcher
  readonly usage: Usage
  /** The process is to live for so many milliseconds yet, if nothing else ends it. */
  keepAliveFor(milliseconds: number): void
  /** The number of a message in this process: part of its Message-ID. */
  nextNumber(): number
}

interface ToolsSetting
  extends Pick<SubmissionTools, 'homePath' | 'queue' | 'budget' | 'clock' | 'random' | 'log' | 'keepAliveFor'> {
  readonly demo: boolean
}

/** Filters at once, in all sessions of the process; the others wait. */
const filtersMax = 20

export function submissionTools(setting: ToolsSetting): SubmissionTools {
  const { homePath, clock, log, demo } = setting
  const home = homeAt(homePath)
  // Files that are not for us cannot all be read by us.
  const control = new Control(home.control, clock, (problem) => {
    if (ourFiles.some((name) => problem.startsWith(`control/${name}:`))) log(`warning: ${problem}`)
  })
  let number = 0
  return {
    ...setting,
    control,
    rules: new RulesFile(home, 'ofmip', clock, (problem) => log(`warning: ${problem}`)),
    users: new UserLookup(home, demo ? demoWorld() : systemWorld(control, clock)),
    limits: smtpLimits,
    launcher: new Launcher(clock, log, homePath, filtersMax),
    usage: new Usage(clock),
    nextNumber: () => ++number,
  }
}

const ourFiles = Object.entries<ControlFile>(controlFiles)
  .filter(([, file]) => file.readBy.includes('local'))
  .map(([name]) => name)

/** The machine's accounts matter to a system home only. */
function demoWorld(): UserWorld {
  const alias = { name: accountOf.alias, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  return { accounts: undefined, alias: () => Promise.resolve(alias) }
}

function systemWorld(control: Control, clock: Clock): UserWorld {
  const accounts = new AccountBook(clock)
  const name = accountName(control.map('roles'), 'alias')
  return { accounts, alias: () => accounts.account(name) }
}
