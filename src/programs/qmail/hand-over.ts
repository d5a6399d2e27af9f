/** Hands the caller's message to the queue of a home, or to HOME/queue/drop while the queue is down. */
import type { ByteString } from '../../base/byte-string.ts'
import { type HandedEnvelope, handIn, type HandedIn } from '../../clients/queue/hand-in.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import type { StoredBytes } from '../../system/spool.ts'

export function handOver(
  home: Home,
  envelope: HandedEnvelope,
  content: StoredBytes,
  head?: ByteString,
): Promise<HandedIn> {
  return handIn(
    {
      socketPath: socketPath(home, 'queue-inject'),
      leave: async (...left) => (await import('../../stores/drop/leave.ts')).leaveInDrop(home, ...left),
    },
    envelope,
    content,
    head,
  )
}
