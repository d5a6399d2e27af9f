/** Which program is the machine's `sendmail`, for `setup` and `doctor`: ours if there is none; another one stays and is
 *  reported, unless `--sendmail` makes it ours. `uninstall` restores it. */
import { dirname, join } from 'node:path'
import { systemHome } from '../../../stores/home/find.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { MadeThings } from '../../../stores/installation/made.ts'
import { holderOf, mailerText, type MailProgram, mailPrograms } from '../../../stores/installation/mail-programs.ts'
import { canDivert } from '../../../system/alternatives.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'
import { launcherPath } from '../services/services.ts'
import type { SetupPlan } from './plan.ts'
import type { Step } from './steps.ts'

/** `if-free`: ours if there is none. */
export type SendmailWish = 'take' | 'if-free' | 'leave'

const bin = dirname(launcherPath)
const [sendmail] = mailPrograms
const aside = (path: string): string => `${path}.before-quaver`

/** Our `sendmail` serves the system home. */
export function sendmailFindings(home: Home, wish: SendmailWish = 'if-free'): MachineFinding[] {
  if (home.path !== systemHome || wish !== 'if-free' || sendmail === undefined) return []
  const holder = holderOf(sendmail.path, launcherPath)
  if (holder.kind === 'ours' || holder.kind === 'nobody') return []
  const now = holder.kind === 'mailwrapper' ? `as ${holder.file} says` : `is ${holder.now}`
  return [
    finding(
      'warning',
      'sendmail',
      `${sendmail.path} of this machine ${now}: what programs like cron send goes there, not to Quaver`,
      'quaver setup ADDRESS --sendmail makes it ours, and quaver uninstall gives it back',
    ),
  ]
}

export function sendmailSteps({ sendmail: wish, home }: SetupPlan): Step[] {
  if (wish === 'leave' || sendmail === undefined) return []
  const first = holderOf(sendmail.path, launcherPath)
  const links = mailPrograms.map((one) => linkStep(one, wish))
  if (wish === 'take' && first.kind === 'alternatives') return [alternativeStep(sendmail, first.group), ...links]
  if (wish === 'take' && first.kind === 'mailwrapper') return [mailerStep(home, first.file)]
  if (first.kind === 'other' && wish !== 'take') return []
  if (first.kind === 'alternatives' || first.kind === 'mailwrapper') return []
  return links
}

function targetOf({ program }: MailProgram): string {
  return join(bin, program)
}

function linkStep(one: MailProgram, wish: SendmailWish): Step {
  const { path } = one
  const holder = holderOf(path, launcherPath)
  const isOthers = holder.kind === 'other'
  return {
    title: `${path}, which leads to ${targetOf(one)}${isOthers ? `; what was there becomes ${aside(path)}` : ''}`,
    isDone: async () => {
      const { kind } = holderOf(path, launcherPath)
      return kind !== 'nobody' && !(kind === 'other' && wish === 'take')
    },
    take: async (made) => {
      if (isOthers) await made.setAside(path, aside(path), canDivert() ? 'dpkg-divert' : 'rename')
      const making = await made.link(path, targetOf(one))
      return making === 'kept' ? `${path} is somebody's, and stays as it is` : undefined
    },
  }
}

/** The names of the group that goes with it are those that the machine has already. */
function alternativeStep(first: MailProgram, group: string): Step {
  const others = mailPrograms.slice(1).flatMap((one) => {
    const holder = holderOf(one.path, launcherPath)
    return holder.kind === 'alternatives' ? [{ link: one.path, name: holder.group, target: targetOf(one) }] : []
  })
  const chosen = { link: first.path, name: group, target: targetOf(first) }
  return {
    title: `${first.path}, by the machine's alternatives (${group}): ${chosen.target}`,
    isDone: async () => holderOf(first.path, launcherPath).kind === 'ours',
    take: async (made) => {
      await made.alternative(chosen, others)
      return undefined
    },
  }
}

function mailerStep(home: Home, file: string): Step {
  const text = mailerText(bin)
  return {
    title: `${file}, by which the machine's sendmail is ours; what was there becomes ${aside(file)}`,
    isDone: async () => (await MadeThings.read(home.path)).find(file) !== undefined,
    take: async (made) => {
      await made.setAside(file, aside(file), 'rename')
      await made.file(file, text, 0o644)
      return undefined
    },
  }
}
