/** `quaver smtp explain`: asks the running smtpd what would happen, and puts its steps into words. */
import net from 'node:net'
import { requestMessageBytesMax } from '../../contracts/admin.ts'
import { readSmallFile } from '../../system/files.ts'
import { smtpLimits } from '../../servers/smtp/limits.ts'
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'
import { field, fieldsOf, textField } from '../../clients/admin/row.ts'

export interface ExplainOptions extends GlobalOptions {
  readonly ip: string
  readonly helo: string
  readonly from: string
  readonly to: readonly string[]
  readonly message?: string
}

/** Of one step: its plug-ins have a minute each, and nothing but the end of a session keeps the live server from waiting. */
const stepMillisecondsMax = smtpLimits.sessionMillisecondsMax

export async function explain(options: ExplainOptions): Promise<void> {
  if (net.isIP(options.ip) === 0) throw new CommandError(`--ip ${options.ip} is no IP address`, exitCode.usage)
  const home = requireHome(options)
  const { ip, helo, from, to } = options
  const message = options.message === undefined ? undefined : readMessage(options.message).toString('base64')
  const rows: object[] = []
  const onRow = (row: unknown): void => {
    const step = fieldsOf(row)
    rows.push(step)
    if (options.json !== true) printStep(step)
  }
  await askProgram(home, 'smtpd-admin', { op: 'explain', ip, helo, from, to, message }, onRow, stepMillisecondsMax)
  if (options.json === true) printJson(rows)
}

function readMessage(path: string): Buffer {
  const found = readSmallFile(path, requestMessageBytesMax)
  if (found === undefined) throw new CommandError(`--message ${path}: there is no such file`, exitCode.usage)
  return found
}

function printStep(row: object): void {
  const command = textField(row, 'command')
  const said = command === '.' ? 'end of the message' : command
  print(styled('bold', said === '' ? 'connects' : harmless(said)))
  const findings = field(row, 'findings')
  for (const one of Array.isArray(findings) ? findings : []) {
    const finding = fieldsOf(one)
    const check = harmless(textField(finding, 'check')).padEnd(12)
    print(
      `  ${check} ${harmless(textField(finding, 'text'))}  ${styled('dim', `(${harmless(textField(finding, 'rule'))})`)}`,
    )
  }
  const reply = textField(row, 'reply')
  for (const line of reply === '' ? [] : reply.split('\r\n')) print(`  ${styled('dim', '→')} ${harmless(line)}`)
  if (field(row, 'closes') === true)
    print(`  ${styled('dim', '→')} ${styled('red', reply === '' ? 'closed without a word' : 'closed')}`)
}
