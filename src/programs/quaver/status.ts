/** `quaver status` and `quaver stop`. */
import { socketPath } from '../../stores/home/layout.ts'
import { askAll } from '../../clients/admin/ask.ts'
import { realClock } from '../../system/clock.ts'
import { askProgram, type GlobalOptions, homeIn, locateHome, requireHome } from './context.ts'
import { exitCode } from './exit.ts'
import { duration, harmless, print, printJson, styled, table } from './output.ts'
import { causes, isKind, type Trouble } from '../../contracts/troubles.ts'
import { field, fieldsOf, textField, numberField } from '../../clients/admin/row.ts'

/** Every program gives itself 20 s, one after the other in up to three steps. */
const stopMillisecondsMax = 90_000

export async function status(options: GlobalOptions): Promise<void> {
  const found = locateHome(options)
  const rows: object[] = []
  try {
    await askProgram(homeIn(found), 'start', { op: 'status' }, (row) => rows.push(fieldsOf(row)))
  } catch (error) {
    if (options.json === true) printJson({ home: found.path, running: false, troubles: [] })
    throw error
  }
  const home = homeIn(found)
  const [summary = {}, ...programs] = rows
  const counts = await askAll(socketPath(home, 'queue-admin'), { op: 'counts' }, realClock).catch(() => [])
  const queue = counts.length === 0 ? undefined : fieldsOf(counts[0])
  const troubles = troublesIn(summary)
  const allRun = programs.every((row) => ['running', 'held'].includes(textField(row, 'state')))
  if (!allRun || troubles.length > 0) process.exitCode = exitCode.failed
  if (options.json === true) printJson({ ...summary, running: true, troubles, programs, queue: queue ?? null })
  else showStatus(summary, programs, queue, troubles)
}

export async function stop(options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await askProgram(home, 'start', { op: 'stop' }, () => undefined, stopMillisecondsMax)
  if (options.json === true) printJson({ stopped: true })
  else print(`stopped: ${home.path}`)
}

function showStatus(
  summary: object,
  programs: readonly object[],
  queue: object | undefined,
  troubles: readonly ShownTrouble[],
): void {
  const now = realClock.now()
  const mode = field(summary, 'demo') === true ? ' (demo)' : ''
  print(`${styled('bold', textField(summary, 'home'))}${mode}, up ${duration(now - numberField(summary, 'startedMs'))}`)
  for (const [name, addresses] of Object.entries(fieldsOf(field(summary, 'listening'))))
    if (Array.isArray(addresses) && addresses.length > 0) print(`${name} on ${addresses.join(', ')}`)
  if (queue !== undefined) print(queueSentence(queue))
  else print(styled('yellow', 'the queue does not answer'))
  for (const { program, title, where, text, remedy, sinceMs } of troubles) {
    const place = where === '' ? '' : ` (${harmless(where)})`
    print(`${styled('red', 'trouble')} ${harmless(program)}, for ${duration(now - sinceMs)}: ${title}${place}`)
    if (text !== '') print(`        ${harmless(text)}`)
    print(`        to do: ${harmless(remedy)}`)
  }
  print('')
  print(table(programs.map((row) => programCells(row, now))))
}

/** A trouble with the words of the table. */
export interface ShownTrouble extends Trouble {
  readonly program: string
  readonly title: string
  readonly remedy: string
  readonly sinceMs: number
}

export function troublesIn(summary: object): ShownTrouble[] {
  const found = field(summary, 'troubles')
  return (Array.isArray(found) ? found : []).map((one) => {
    const row = fieldsOf(one)
    const [name, where] = [textField(row, 'kind'), textField(row, 'where')]
    const kind = isKind(name) ? name : 'unknown'
    const { title, remedy } = causes[kind]
    const [program, text, sinceMs] = [textField(row, 'program'), textField(row, 'text'), numberField(row, 'sinceMs')]
    return { program, kind, title, where, text, remedy: remedy(where), sinceMs }
  })
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
