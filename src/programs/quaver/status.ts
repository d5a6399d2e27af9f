/** `quaver status` and `quaver stop`. */
import { socketPath } from '../../stores/home/layout.ts'
import { askAll } from '../../clients/admin/ask.ts'
import { realClock } from '../../system/clock.ts'
import { askProgram, type GlobalOptions, requireHome } from './context.ts'
import { exitCode } from './exit.ts'
import { duration, harmless, print, printJson, styled, table } from './output.ts'
import { field, fieldsOf, textField, numberField } from '../../clients/admin/row.ts'

/** Every program gives itself 20 s, one after the other in up to three steps. */
const stopMillisecondsMax = 90_000

export async function status(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const rows: object[] = []
  await askProgram(home, 'start', { op: 'status' }, (row) => rows.push(fieldsOf(row)))
  const [summary = {}, ...programs] = rows
  const counts = await askAll(socketPath(home, 'queue-admin'), { op: 'counts' }, realClock).catch(() => [])
  const queue = counts.length === 0 ? undefined : fieldsOf(counts[0])
  // What is held is so on purpose: without a certificate nobody logs in.
  const allRun = programs.every((row) => ['running', 'held'].includes(textField(row, 'state')))
  if (!allRun) process.exitCode = exitCode.failed
  if (options.json === true) printJson({ ...summary, programs, queue: queue ?? null })
  else showStatus(summary, programs, queue)
}

export async function stop(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await askProgram(home, 'start', { op: 'stop' }, () => undefined, stopMillisecondsMax)
  if (options.json === true) printJson({ stopped: true })
  else print(`stopped: ${home.path}`)
}

function showStatus(summary: object, programs: readonly object[], queue: object | undefined): void {
  const now = realClock.now()
  const mode = field(summary, 'demo') === true ? ' (demo)' : ''
  print(`${styled('bold', textField(summary, 'home'))}${mode}, up ${duration(now - numberField(summary, 'startedMs'))}`)
  for (const [name, addresses] of Object.entries(fieldsOf(field(summary, 'listening'))))
    if (Array.isArray(addresses) && addresses.length > 0) print(`${name} on ${addresses.join(', ')}`)
  if (queue !== undefined) print(queueSentence(queue))
  else print(styled('yellow', 'the queue does not answer'))
  print('')
  print(table(programs.map((row) => programCells(row, now))))
}

function programCells(row: object, now: number): string[] {
  const state = textField(row, 'state')
  const since = duration(now - numberField(row, 'sinceMs'))
  const restarts = numberField(row, 'restarts')
  const lastEnd = harmless(textField(row, 'lastEnd'))
  const ends = restarts === 0 ? lastEnd : `restarted ${restarts}×, last: ${lastEnd}`
  const pid = field(row, 'pid')
  return [
    textField(row, 'program'),
    styled(state === 'running' ? 'green' : 'yellow', state),
    typeof pid === 'number' ? `pid ${pid}` : '',
    since,
    ends,
  ]
}

function queueSentence(queue: object): string {
  const messages = numberField(queue, 'messages')
  if (messages === 0) return 'the queue is empty'
  const parts = (
    [
      ['waitingLocal', 'waiting, local'],
      ['waitingRemote', 'waiting, remote'],
      ['deliveringLocal', 'being delivered, local'],
      ['deliveringRemote', 'being delivered, remote'],
    ] as const
  ).flatMap(([name, words]) => (numberField(queue, name) === 0 ? [] : [`${numberField(queue, name)} ${words}`]))
  const total = messages === 1 ? '1 message' : `${messages} messages`
  return parts.length === 0 ? `${total} in the queue` : `${total} in the queue: recipients ${parts.join(', ')}`
}
