/** What signals mean to a process that stays. People and tools send them out of habit (USR1 to reopen a log, WINCH, QUIT), so
 *  what is not given a meaning does nothing, where the system's default would end or stop the process.
 *  Never:  touches those of a true fault: after one, the process's state cannot be trusted. */
import { constants } from 'node:os'
import { ignoreSignal } from './libc.ts'

export type Meanings = Readonly<Partial<Record<NodeJS.Signals, () => void>>>

const leftAlone: ReadonlySet<string> = new Set([
  // Cannot be caught.
  'SIGKILL',
  'SIGSTOP',
  // Faults. On arm64 a failed check of the runtime itself is a SIGTRAP, and would come again for ever.
  'SIGSEGV',
  'SIGBUS',
  'SIGILL',
  'SIGFPE',
  'SIGABRT',
  'SIGIOT',
  'SIGTRAP',
  // The runtime's, and ignored: a full file or a closed pipe is an error of the call.
  'SIGPIPE',
  'SIGXFSZ',
  // Does nothing by itself.
  'SIGCHLD',
])
/** glibc keeps 32 and 33 for itself. */
const realTimeSignals: readonly number[] = Array.from({ length: 31 }, (_, at) => 34 + at)

export function heedSignals(meanings: Meanings): void {
  for (const name of Object.keys(constants.signals) as NodeJS.Signals[])
    if (!leftAlone.has(name)) process.on(name, meanings[name] ?? doNothing)
}

/** For `start`: what is ignored here is ignored by every program below it. The runtime knows no names for real-time signals.
 *  A process that caught TTIN or TTOU would get it again at once, without end, while it is in a terminal's background. */
export function ignoreUnnamedSignals(): void {
  for (const signal of [constants.signals.SIGTTIN, constants.signals.SIGTTOU, ...realTimeSignals]) ignoreSignal(signal)
}

function doNothing(): void {}
