/** `quaver smtp explain`: asks the running smtpd what would happen, and puts its steps into words. */
import net from 'node:net'
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
}

/** Of one step: its plug-ins have a minute each, and nothing but the end of a session keeps the live server from waiting. */
const stepMillisecondsMax = smtpLimits.sessionMillisecondsMax

export async function explain(options: ExplainOptions): Promise<void> {
  if (net.isIP(options.ip) === 0) throw new CommandError(`--ip ${options.ip} is no IP address`, exitCode.usage)
  const home = requireHome(options)
  const { ip, helo, from, to } = options
  const rows: object[] = []
  const onRow = (row: unknown): void => {
    const step = fieldsOf(row)
    rows.push(step)
    if (options.json !== true) printStep(step)
  }
  await askProgram(home, 'smtpd-admin', { op: 'explain', ip, helo, from, to }, onRow, stepMillisecondsMax)
  if (options.json === true) printJson(rows)
}

function printStep(row: object): void {
  const command = textField(row, 'command')
  print(styled('bold', command === '' ? 'connects' : harmless(command)))
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
