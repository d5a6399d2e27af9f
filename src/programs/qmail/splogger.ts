/** splogger(8): sends each line of descriptor 0, with the time, to syslog under a tag and a facility, by logger(1). */
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { type Call, exit, Fatal } from './call.ts'

const mailFacility = 2
const facilityMax = 23
/** A longer line continues in another, whose stamp ends in `+`. */
const lineBytesMax = 799
/** syslog(3). */
const level = { alert: 1, warning: 4, info: 6 } as const

export async function splogger(call: Call): Promise<number> {
  const [tag = 'splogger', facilityText = ''] = call.args
  const digits = /^[0-9]{1,3}/.exec(facilityText)?.[0]
  const facility = digits === undefined ? mailFacility : Math.min(Number(digits), facilityMax)
  const end = await call.run(['logger', '--prio-prefix', '-t', tag, '--'], stamped(call, facility))
  if (end.kind === 'absent')
    throw new Fatal(exit.temporary, `splogger: fatal: unable to run logger: ${errnoText(end.error)}`)
  return exit.ok
}

function* stamped(call: Call, facility: number): Generator<Buffer> {
  let line = ''
  let started: { readonly stamp: string; readonly priority: number } | undefined
  const flush = (): Buffer[] => {
    if (line === '') return []
    const continues = started !== undefined
    started ??= { stamp: stampOf(call.now()), priority: facility * 8 + levelOf(line) }
    const text = `<${started.priority}>${started.stamp}${continues ? '+' : ' '}${line}\n`
    line = ''
    return [toBuffer(text)]
  }
  for (const chunk of call.input()) {
    for (const character of fromBuffer(chunk)) {
      if (character === '\n') {
        yield* flush()
        started = undefined
        continue
      }
      if (line.length === lineBytesMax) yield* flush()
      line += character >= ' ' && character <= '~' ? character : '?'
    }
  }
  // An unfinished line is lost, as in qmail: the next one would have completed it.
}

function stampOf(ms: number): string {
  return `${Math.floor(ms / 1000)}.${String(Math.floor(ms % 1000) * 1000).padStart(6, '0')}`
}

function levelOf(line: ByteString): number {
  if (line.startsWith('alert:')) return level.alert
  return line.startsWith('warning:') ? level.warning : level.info
}
