/** Serves acme-admin, by which the command line has the certificate renewed and sees each step. */
import { readOperation } from '../../system/admin-server.ts'
import type { Renewer } from './renewer.ts'

/** Yields rows `{ step }` during the renewal, and `{ installed: true }` at the end. */
export async function* answerAcme(renewer: Pick<Renewer, 'renew'>, request: unknown): AsyncGenerator<object> {
  const { op } = readOperation(request)
  if (op !== 'renew') throw new Error(`acme knows renew, not '${op}'`)
  const steps: string[] = []
  let wake = (): void => undefined
  const done = renewer
    .renew((text) => {
      steps.push(text)
      wake()
    })
    .finally(() => wake())
  let isOver = false
  void done.finally(() => (isOver = true))
  for (;;) {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) yield { step }
    if (isOver) break
    await new Promise<void>((resolve) => {
      wake = resolve
      if (steps.length > 0) resolve()
      void done.then(() => resolve())
    })
  }
  const fault = await done
  if (fault !== undefined) throw new Error(fault)
  yield { installed: true }
}
