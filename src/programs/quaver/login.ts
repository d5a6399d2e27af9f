/** `quaver login failures` and `forgive`: asks the running authd who is locked out, and lets in again. */
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { exitCode } from './exit.ts'
import { duration, harmless, print, printJson, styled, table } from './output.ts'
import { field, fieldsOf, numberField, textField } from '../../clients/admin/row.ts'
import { realClock } from '../../system/clock.ts'

export async function failures(options: GlobalOptions): Promise<void> {
  const rows = await ask(options, { op: 'failures' })
  if (options.json === true) return printJson(rows)
  if (rows.length === 0) return print('nobody has failed to log in lately')
  const now = realClock.now()
  print(table(rows.map((row) => cells(row, now))))
}

/** Exit code 1 if nothing was known of it. */
export async function forgive(who: string, options: GlobalOptions): Promise<void> {
  const [row = {}] = await ask(options, { op: 'forgive', who })
  const forgiven = field(row, 'forgiven') === true
  if (!forgiven) process.exitCode = exitCode.failed
  if (options.json === true) printJson({ who, forgiven })
  else print(forgiven ? `forgiven: ${harmless(who)}` : `no failed logins are known of ${harmless(who)}`)
}

function cells(row: object, now: number): string[] {
  const lockedForMs = numberField(row, 'lockedForMs')
  const count = numberField(row, 'count')
  return [
    textField(row, 'subject') === 'peer' ? 'address' : 'account',
    harmless(textField(row, 'name')),
    `${count} ${count === 1 ? 'failure' : 'failures'}`,
    `last ${duration(now - numberField(row, 'lastMs'))} ago`,
    lockedForMs > 0 ? styled('yellow', `locked for ${duration(lockedForMs)}`) : '',
  ]
}

async function ask(options: GlobalOptions, request: object): Promise<object[]> {
  const rows: object[] = []
  await askProgram(requireHome(options), 'authd-admin', request, (row) => rows.push(fieldsOf(row)))
  return rows
}
