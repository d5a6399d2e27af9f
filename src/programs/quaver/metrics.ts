/** `quaver metrics`: figures of a home for monitoring, in Prometheus' text form (version 0.0.4). Counters begin at 0 with their
 *  program. The names are in docs/programs/metrics.md, and do not change. */
import { dirname, resolve } from 'node:path'
import { askAll } from '../../clients/admin/ask.ts'
import { readMessage } from '../../clients/admin/queue-listing.ts'
import { field, fieldsOf, numberField, textField } from '../../clients/admin/row.ts'
import { type CountName, countNames } from '../../contracts/counts.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { namedTlsDirectories, readTls } from '../../stores/home/tls-files.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles, replaceFile } from '../../system/files.ts'
import { validityOf } from '../../system/keys.ts'
import { type GlobalOptions, isRunning, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { troublesIn } from './status.ts'

interface Family {
  readonly type: 'counter' | 'gauge'
  readonly help: string
}

const families = {
  quaver_up: { type: 'gauge', help: '1 if Quaver runs on this home.' },
  quaver_start_time_seconds: { type: 'gauge', help: 'When it was started, seconds since 1970.' },
  quaver_program_up: { type: 'gauge', help: '1 if the program runs, or waits for a certificate.' },
  quaver_program_restarts_total: { type: 'counter', help: 'How often it ended by itself and was started again.' },
  quaver_troubles: { type: 'gauge', help: 'What is wrong now, as quaver status says it.' },
  quaver_queue_messages: { type: 'gauge', help: 'Messages in the queue.' },
  quaver_queue_waiting_recipients: { type: 'gauge', help: 'Recipients in the queue that are not done.' },
  quaver_queue_running_deliveries: { type: 'gauge', help: 'Attempts that run now.' },
  quaver_queue_oldest_message_seconds: { type: 'gauge', help: 'Age of the oldest message; 0 if there is none.' },
  quaver_accepted_messages_total: { type: 'counter', help: 'Messages that the queue took, bounces too.' },
  quaver_bounces_total: { type: 'counter', help: 'Bounces and double bounces made.' },
  quaver_deliveries_total: { type: 'counter', help: 'Attempts that ended, one for each recipient.' },
  quaver_connections_total: { type: 'counter', help: 'TCP connections taken.' },
  quaver_refused_connections_total: { type: 'counter', help: 'Connections refused by limits or rules.' },
  quaver_open_connections: { type: 'gauge', help: 'TCP connections that are open now.' },
  quaver_logins_total: { type: 'counter', help: 'Logins by what became of them.' },
  quaver_certificate_end_seconds: { type: 'gauge', help: 'When a certificate ends, seconds since 1970.' },
} as const satisfies Record<string, Family>

type FamilyName = keyof typeof families
type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly name: FamilyName
  readonly labels: Labels
  readonly value: number
}

/** What programs count, by the names that monitoring sees. `program`: a label of that name, because more than one counts the same. */
const places: Readonly<Record<CountName, { readonly name: FamilyName; readonly labels: Labels | 'program' }>> = {
  'messages-accepted': { name: 'quaver_accepted_messages_total', labels: {} },
  bounces: { name: 'quaver_bounces_total', labels: {} },
  'local-success': { name: 'quaver_deliveries_total', labels: { channel: 'local', outcome: 'success' } },
  'local-deferral': { name: 'quaver_deliveries_total', labels: { channel: 'local', outcome: 'deferral' } },
  'local-failure': { name: 'quaver_deliveries_total', labels: { channel: 'local', outcome: 'failure' } },
  'remote-success': { name: 'quaver_deliveries_total', labels: { channel: 'remote', outcome: 'success' } },
  'remote-deferral': { name: 'quaver_deliveries_total', labels: { channel: 'remote', outcome: 'deferral' } },
  'remote-failure': { name: 'quaver_deliveries_total', labels: { channel: 'remote', outcome: 'failure' } },
  connections: { name: 'quaver_connections_total', labels: 'program' },
  'connections-refused': { name: 'quaver_refused_connections_total', labels: 'program' },
  'connections-open': { name: 'quaver_open_connections', labels: 'program' },
  'logins-accepted': { name: 'quaver_logins_total', labels: { result: 'accepted' } },
  'logins-credentials': { name: 'quaver_logins_total', labels: { result: 'credentials' } },
  'logins-locked': { name: 'quaver_logins_total', labels: { result: 'locked' } },
  'logins-temporary': { name: 'quaver_logins_total', labels: { result: 'temporary' } },
  'logins-malformed': { name: 'quaver_logins_total', labels: { result: 'malformed' } },
  'logins-mechanism': { name: 'quaver_logins_total', labels: { result: 'mechanism' } },
}

export async function metrics(options: GlobalOptions & { readonly output?: string }): Promise<void> {
  const home = requireHome(options)
  const samples = await samplesOf(home)
  const text = options.json === true ? `${JSON.stringify(samples)}\n` : textOf(samples)
  if (options.output === undefined) return void process.stdout.write(text)
  const path = resolve(options.output)
  if ((await realFiles.facts(dirname(path))) === undefined)
    throw new CommandError(
      `${dirname(path)} is not there: node_exporter says with --collector.textfile.directory where it looks`,
    )
  await replaceFile(realFiles, path, Buffer.from(text), 0o644)
}

async function samplesOf(home: Home): Promise<Sample[]> {
  const certificates = await certificateSamples(home)
  if (!(await isRunning(home))) return [sample('quaver_up', 0), ...certificates]
  const [summary = {}, ...programs] = (await askAll(socketPath(home, 'start'), { op: 'status' }, realClock)).map(
    fieldsOf,
  )
  return [
    sample('quaver_up', 1),
    sample('quaver_start_time_seconds', numberField(summary, 'startedMs') / 1000),
    ...programs.flatMap(programSamples),
    ...troubleSamples(summary),
    ...(await queueSamples(home)),
    ...certificates,
  ]
}

function programSamples(row: object): Sample[] {
  const program = textField(row, 'program')
  const isUp = ['running', 'held'].includes(textField(row, 'state'))
  const counts = fieldsOf(field(row, 'counts'))
  return [
    sample('quaver_program_up', isUp ? 1 : 0, { program }),
    sample('quaver_program_restarts_total', numberField(row, 'restarts'), { program }),
    ...countNames
      .filter((name) => Object.hasOwn(counts, name))
      .map((one) => {
        const { name, labels } = places[one]
        return sample(name, numberField(counts, one), labels === 'program' ? { program } : labels)
      }),
  ]
}

function troubleSamples(summary: object): Sample[] {
  const counts = new Map<string, number>()
  for (const { program, kind } of troublesIn(summary)) {
    const key = `${program} ${kind}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts].map(([key, count]) => {
    const [program = '', kind = ''] = key.split(' ')
    return sample('quaver_troubles', count, { program, kind })
  })
}

/** None if the queue does not answer: that is not the same as empty. */
async function queueSamples(home: Home): Promise<Sample[]> {
  const path = socketPath(home, 'queue-admin')
  const ask = (request: object): Promise<unknown[]> => askAll(path, request, realClock).catch(() => [])
  const [counted] = await ask({ op: 'counts' })
  if (counted === undefined) return []
  const [oldest] = await ask({ op: 'list', after: 0, limit: 1 })
  const counts = fieldsOf(counted)
  const age = oldest === undefined ? 0 : Math.max(0, realClock.now() - readMessage(oldest).bornMs)
  return [
    sample('quaver_queue_messages', numberField(counts, 'messages')),
    sample('quaver_queue_waiting_recipients', numberField(counts, 'waitingLocal'), { channel: 'local' }),
    sample('quaver_queue_waiting_recipients', numberField(counts, 'waitingRemote'), { channel: 'remote' }),
    sample('quaver_queue_running_deliveries', numberField(counts, 'deliveringLocal'), { channel: 'local' }),
    sample('quaver_queue_running_deliveries', numberField(counts, 'deliveringRemote'), { channel: 'remote' }),
    sample('quaver_queue_oldest_message_seconds', Math.round(age / 1000)),
  ]
}

async function certificateSamples(home: Home): Promise<Sample[]> {
  const found: Sample[] = []
  for (const directory of [home.tls, ...(await namedTlsDirectories(home.tls).catch(() => []))]) {
    const state = await readTls(directory)
    if (state.kind !== 'pair') continue
    found.push(
      sample('quaver_certificate_end_seconds', validityOf(state.pair.certificatePem).toMs / 1000, { directory }),
    )
  }
  return found
}

function sample(name: FamilyName, value: number, labels: Labels = {}): Sample {
  return { name, labels, value }
}

function textOf(samples: readonly Sample[]): string {
  const lines: string[] = []
  for (const name of Object.keys(families) as FamilyName[]) {
    const own = samples.filter((one) => one.name === name)
    if (own.length === 0) continue
    const { type, help } = families[name]
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    for (const { labels, value } of own) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
      lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
