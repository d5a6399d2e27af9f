/** The home's queue, for a one-session program that runs as its caller. Run by smtpd's account, its mail counts as from the
 *  network; run by another user, as that user's own. While the queue is down, the mail waits in the drop directory. */
import { accessSync, constants } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import type { ByteString } from '../../base/byte-string.ts'
import { FilterEnqueuer } from '../../clients/filters/filter-enqueuer.ts'
import { filterPass } from '../../clients/filters/filter-pass.ts'
import type { FilterTools } from '../../clients/queue/filter-chain.ts'
import { HandInEnqueuer } from '../../clients/queue/hand-in-enqueuer.ts'
import { type Control, controlBytesMax } from '../../stores/control/control.ts'
import { leaveInDrop } from '../../stores/drop/leave.ts'
import { type Home, type SocketName, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { readSmallFile } from '../../system/files.ts'
import type { Launcher } from '../../system/launcher.ts'
import { realRandom } from '../../system/random.ts'

/** Write permission on the socket file is permission to connect. */
export function mayConnect(home: Home, name: SocketName): boolean {
  try {
    accessSync(socketPath(home, name), constants.W_OK)
    return true
  } catch {
    return false
  }
}

export function queueSocketOf(home: Home): 'queue-network' | 'queue-inject' {
  return mayConnect(home, 'queue-network') ? 'queue-network' : 'queue-inject'
}

/** Filters are children of this process. */
export function callerFilterTools(home: Home, control: Control, launcher: Launcher): FilterTools {
  const queue = new HandInEnqueuer({
    socketPath: socketPath(home, queueSocketOf(home)),
    leave: (envelope, content) => leaveInDrop(home, envelope, content),
  })
  const signatures = (): readonly ByteString[] => control.list('signatures') ?? []
  const pass = { launcher, random: realRandom, clock: realClock, queue, signatures }
  return {
    queue,
    clock: realClock,
    signatures,
    readFile: (name) => readSmallFile(resolvePath(home.path, name), controlBytesMax),
    programs: (order) => new FilterEnqueuer(realRandom, filterPass(pass, order), () => false),
  }
}
