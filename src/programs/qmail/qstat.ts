/** qmail-qstat(8): how much is in the queue. For root, as the queue's own directories were. */
import { AdminError, askAll } from '../../clients/admin/ask.ts'
import { fieldsOf, numberField } from '../../clients/admin/row.ts'
import { socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { type Call, exit, Fatal } from './call.ts'

export async function qstat(call: Call): Promise<number> {
  try {
    const [row] = await askAll(socketPath(call.home(), 'queue-admin'), { op: 'counts' }, realClock)
    // Our queue preprocesses a message when it accepts it.
    const messages = numberField(fieldsOf(row), 'messages')
    call.out(`messages in queue: ${messages}\nmessages in queue but not yet preprocessed: 0\n`)
  } catch (error) {
    if (!(error instanceof AdminError)) throw error
    throw new Fatal(
      exit.temporary,
      `qmail-qstat: fatal: ${error.kind === 'down' ? 'the queue does not run' : error.message}`,
    )
  }
  return exit.ok
}
