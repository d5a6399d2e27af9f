/** Keeps the programs' certificate and key those of HOME/tls: read at start, and again when changed and settled.
 *  Fails:  a pair that cannot be used is named in the log once; the pair before it stays in force. */
import { setInterval } from 'node:timers'
import { readTls, type TlsPair, type TlsState, tlsStamp } from '../../stores/home/tls-files.ts'
import type { Clock } from '../../system/clock.ts'

const pollMilliseconds = 2000
const settledMilliseconds = 1000

export interface TlsWatch {
  readonly onPair: (pair: TlsPair) => void
  readonly onFault: (fault: string) => void
}

/** Resolves after the first look; goes on looking for as long as the process runs. */
export async function watchTls(directory: string, { onPair, onFault }: TlsWatch, clock: Clock): Promise<TlsState> {
  let known = (await tlsStamp(directory)).stamp
  const first = await readTls(directory)
  tell(first)
  let looking = false
  const look = async (): Promise<void> => {
    const { stamp, changedMs } = await tlsStamp(directory)
    if (stamp === known || Math.abs(clock.now() - changedMs) < settledMilliseconds) return
    known = stamp
    tell(await readTls(directory))
  }
  const timer = setInterval(() => {
    if (looking) return
    looking = true
    void look().finally(() => {
      looking = false
    })
  }, pollMilliseconds)
  timer.unref()
  return first

  function tell(state: TlsState): void {
    if (state.kind === 'pair') onPair(state.pair)
    if (state.kind === 'faulty') onFault(state.fault)
  }
}
