/** What a log line looks like: QUAVER_LOG, which `start` sets from control/log.
 *
 *      stderr, or nothing   smtpd: ok 17 …                       the receiver stamps
 *      stamp                2026-11-21T09:08:07.006Z smtpd: …    a file
 *      syslog               ok 17 …                              `logger` of this tag is at the other end (start)
 *      journal              <6>nbqmail/smtpd: ok 17 …            systemd's journal reads the priority
 *      json                 {"time":"…","tag":"nbqmail/smtpd","program":"smtpd","message":"ok 17 …"}
 *      bare                 ok 17 …                              the reader of the pipe tags it (log-pipe.ts)
 *
 *  Tags are those of pkgsrc's qmail-run. Lines are bytes: in JSON each is a character of Latin-1, escaped from 127 up. */

export type LogForm = 'stderr' | 'stamp' | 'syslog' | 'journal' | 'json'
export const logForms: readonly LogForm[] = ['stderr', 'stamp', 'syslog', 'journal', 'json']

/** qmail-send logs for the programs that it starts. */
const sendPrograms = new Set(['queue', 'lspawn', 'local', 'remote', 'pickup'])

export function syslogTag(program: string): string {
  return `nbqmail/${sendPrograms.has(program) ? 'send' : program}`
}

export function lineFormatter(form: string | undefined, program: string): (line: string) => string {
  const tag = syslogTag(program)
  switch (form) {
    case 'stamp':
      return (line) => `${stamp()} ${program}: ${line}\n`
    case 'json':
      return (line) => `${asJson({ time: stamp(), tag, program, message: line })}\n`
    case 'journal':
      return (line) => `<${priorityOf(line)}>${tag}: ${behindTag(program)}${line}\n`
    case 'bare':
      return (line) => `${line}\n`
    case 'syslog':
      return (line) => `${behindTag(program)}${line}\n`
    case undefined:
    default:
      return (line) => `${program}: ${line}\n`
  }
}

let stamped = { ms: 0, text: '' }

/** A busy server writes many lines in a millisecond, and a date costs as much as all else of a line. */
function stamp(): string {
  const ms = Date.now()
  if (ms !== stamped.ms) stamped = { ms, text: new Date(ms).toISOString() }
  return stamped.text
}

/** Several programs share nbqmail/send: qmail-send's own lines stand alone, the others name their program. */
function behindTag(program: string): string {
  return program !== 'queue' && sendPrograms.has(program) ? `${program}: ` : ''
}

const priority = { alert: 1, warning: 4, info: 6 } as const

function priorityOf(line: string): number {
  if (line.startsWith('alert: ')) return priority.alert
  return line.startsWith('warning: ') ? priority.warning : priority.info
}

function asJson(value: object): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
