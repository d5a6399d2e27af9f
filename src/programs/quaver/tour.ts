/** `quaver tour`: sends one message through our own SMTP port and shows its way, with times, until it is a file. */
import { join } from 'node:path'
import { listAccounts, type Account } from '../../stores/accounts/accounts.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realFiles } from '../../system/files.ts'
import { askProgram, cloneRoot, type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { harmless, print, styled } from './output.ts'
import { field, fieldsOf, textField } from '../../clients/admin/row.ts'
import { findMessage, messageCount } from './tour-maildir.ts'
import { type LogLine, LogReader } from './tour-log.ts'
import { submitBySmtp } from './tour-smtp.ts'

const followMillisecondsMax = 20_000
const pollMilliseconds = 20

export async function tour(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const { address, logPath } = await whereTo(home)
  const account = (await listAccounts(realFiles, home))[0]
  if (account === undefined) throw new CommandError(`${home.path} has no account: quaver account add name@domain`)
  const shown = new Steps()
  print(`\n${styled('bold', 'A message to yourself')}${styled('dim', '  by SMTP, as from anywhere')}\n`)

  const log = new LogReader(logPath)
  const messageId = `${Date.now()}.${process.pid}.tour@quaver.test`
  const id = await submitBySmtp(
    address,
    account.address,
    letter(account.address, messageId),
    ({ kind, reply, atMs }) => {
      if (kind === 'greeted') shown.at(atMs, 'connected', `${address}: ${harmless(reply)}`)
      else if (kind === 'recipient') shown.at(atMs, 'recipient', `${account.address}: ${harmless(reply)}`)
      else shown.at(atMs, 'accepted', harmless(reply))
    },
  )
  if (!(await follow(log, id, shown)))
    throw new CommandError(`message ${id} is not delivered yet: quaver queue why ${id}`)
  const file = await findMessage(account.maildir, messageId)
  if (file === undefined)
    throw new CommandError(`the log says that message ${id} was delivered, but it is not in ${account.maildir}`)
  shown.at(Date.now(), 'in file', join(account.maildir, file))
  shown.flush()
  print(`\n  ${await mailboxSentence(account)}\n`)
  showNext(address, account, home)
}

async function whereTo(home: Home): Promise<{ address: string; logPath: string }> {
  const rows: object[] = []
  await askProgram(home, 'start', { op: 'status' }, (row) => rows.push(fieldsOf(row)))
  const summary = rows[0] ?? {}
  const addresses = field(summary, 'smtp')
  const address: unknown = Array.isArray(addresses) ? addresses[0] : undefined
  const logPath = textField(summary, 'log')
  if (field(summary, 'demo') !== true || logPath === '') throw new CommandError('the tour is for the demo: npm start')
  if (typeof address !== 'string') throw new CommandError('SMTP is not among the services that run here')
  return { address, logPath }
}

/** True if the message's end was seen in time. */
async function follow(log: LogReader, id: number, shown: Steps): Promise<boolean> {
  const deliveries = new Set<string>()
  const deadline = performance.now() + followMillisecondsMax
  while (performance.now() < deadline) {
    // The reply and the log come by two ways, the log a little later: what is at hand is shown in the order of its times.
    await new Promise((resolve) => setTimeout(resolve, pollMilliseconds))
    const ends = log.read().map((line) => showLine(line, id, deliveries, shown))
    shown.flush()
    if (ends.includes(true)) return true
  }
  return false
}

function showLine({ atMs, text }: LogLine, id: number, deliveries: Set<string>, shown: Steps): boolean {
  const info = /^info msg (\d+): (bytes \d+ from \S+)/.exec(text)
  if (info?.[1] === String(id)) shown.at(atMs, 'committed', `message ${id} is on disk: ${info[2] ?? ''}`)
  const starting = /^starting delivery (\d+): msg (\d+) to (\S+) (\S+)$/.exec(text)
  if (starting?.[2] === String(id)) {
    deliveries.add(starting[1] ?? '')
    shown.at(atMs, 'attempt', `${starting[3] ?? ''} delivery ${starting[1] ?? ''} to ${starting[4] ?? ''}`)
  }
  const delivery = /^delivery (\d+): (success|failure|deferral): (.*)$/.exec(text)
  if (delivery !== null && deliveries.has(delivery[1] ?? ''))
    shown.at(atMs, delivery[2] === 'success' ? 'delivered' : (delivery[2] ?? ''), harmless(delivery[3] ?? ''))
  if (text !== `end msg ${id}`) return false
  shown.at(atMs, 'done', 'every recipient is done: the queue forgets it')
  return true
}

async function mailboxSentence(account: Account): Promise<string> {
  const count = await messageCount(account.maildir)
  return `${account.address} has ${count === 1 ? '1 message' : `${count} messages`} in ${account.maildir}`
}

function showNext(address: string, account: Account, home: Home): void {
  const root = cloneRoot()
  const option = root !== undefined && home.path === join(root, '.quaver') ? '' : ` --home ${home.path}`
  print(styled('bold', 'Try it') + styled('dim', '  in another terminal') + '\n')
  const command = root === undefined ? 'quaver' : root === process.cwd() ? './quaver' : join(root, 'quaver')
  const [host = '', port = ''] = address.split(/:(?=\d+$)/)
  const commands = [
    `printf 'Subject: hi\\n\\nHello.\\n' | curl -sS --crlf smtp://${address} --mail-from me@example.org --mail-rcpt ${account.address} -T -`,
    `swaks --server ${host} --port ${port} --from me@example.org --to ${account.address}`,
    `${command} account show ${account.address}${option}`,
    `${command} status${option}`,
  ]
  for (const one of commands) print(`  ${one}`)
  print('')
}

/** One line a step: milliseconds since the first, a word, and what there is to say. */
class Steps {
  private readonly startMs = Date.now()
  private pending: { readonly atMs: number; readonly line: string }[] = []

  /** `atMs` is a time of day. Shown at the next `flush`. */
  at(atMs: number, word: string, text: string): void {
    const since = `${Math.max(0, atMs - this.startMs)} ms`
    this.pending.push({
      atMs,
      line: `  ${styled('dim', since.padStart(8))}  ${styled(colour(word), word.padEnd(9))}  ${text}`,
    })
  }

  flush(): void {
    for (const { line } of this.pending.sort((a, b) => a.atMs - b.atMs)) print(line)
    this.pending = []
  }
}

function colour(word: string): 'green' | 'yellow' | 'cyan' {
  if (word === 'failure' || word === 'deferral') return 'yellow'
  return word === 'delivered' || word === 'committed' ? 'green' : 'cyan'
}

function letter(recipient: string, messageId: string): string {
  return [
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    `From: ${recipient}`,
    `To: ${recipient}`,
    'Subject: It works',
    `Message-ID: <${messageId}>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'This message went in by SMTP, through the queue, and into this Maildir.',
    '',
  ].join('\r\n')
}
