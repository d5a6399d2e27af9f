/** qmail-qread(8): the caller's messages that wait in the queue; root sees all. */
import { AdminError } from '../../clients/admin/ask.ts'
import { listing } from '../../clients/admin/queue-listing.ts'
import { socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { type Call, exit, Fatal } from './call.ts'

export async function qread(call: Call): Promise<number> {
  const path = socketPath(call.home(), 'queue-own')
  try {
    for await (const lines of listing(path, realClock)) call.out(lines)
  } catch (error) {
    if (!(error instanceof AdminError)) throw error
    throw new Fatal(
      exit.temporary,
      `qmail-qread: fatal: ${error.kind === 'down' ? 'the queue does not run' : error.message}`,
    )
  }
  return exit.ok
}
