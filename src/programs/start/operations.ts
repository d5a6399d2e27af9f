/** run/start.sock: status, programs, stop, reload. */
import { readOperation } from '../../system/admin-server.ts'

export interface Operations {
  /** Rows for `status`. */
  status(): Promise<readonly object[]>
  /** The rows of `status` about programs, at once: without asking them for their troubles. */
  programs(): readonly object[]
  reload(): void
  /** Resolves when everything has stopped. */
  stop(): Promise<void>
}

export async function operate(operations: Operations, request: unknown): Promise<readonly object[]> {
  const { op } = readOperation(request)
  if (op === 'status') return await operations.status()
  if (op === 'programs') return operations.programs()
  if (op === 'reload') operations.reload()
  else if (op === 'stop') await operations.stop()
  else throw new Error(`start knows status, programs, reload and stop, not '${op}'`)
  return []
}
