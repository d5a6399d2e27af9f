/** A copy of the queue, made by its process while it runs, else here; taken away after the work. One at a time. */
import { statSync } from 'node:fs'
import { fieldsOf, numberField } from '../../clients/admin/row.ts'
import { lockDirectory } from '../../stores/home/directory-lock.ts'
import type { Home } from '../../stores/home/layout.ts'
import { type QueueSnapshot, removeSnapshot, snapshotDirectory } from '../../stores/queue/snapshot.ts'
import { asOwner } from '../../system/as-owner.ts'
import { openQueue } from './closed-home.ts'
import { askProgram, isRunning } from './context.ts'
import { CommandError } from './exit.ts'
import { progress } from './progress.ts'

export interface QueueCopy extends QueueSnapshot {
  readonly directory: string
}

/** `work` has it made when it is time for it, and gets its directory. */
export async function withQueueCopy<T>(
  home: Home,
  isQuiet: boolean,
  work: (copy: () => Promise<QueueCopy>) => Promise<T>,
): Promise<T> {
  const unlock = await lockDirectory(home.queue, 0)
  try {
    return await work(async () => ({ ...(await copyQueue(home, isQuiet)), directory: snapshotDirectory(home.queue) }))
  } finally {
    await asOwner(statSync(home.queue), () => removeSnapshot(home.queue))
    await unlock()
  }
}

async function copyQueue(home: Home, isQuiet: boolean): Promise<QueueSnapshot> {
  let show: ReturnType<typeof progress> | undefined
  const onPages = (left: number, of: number): void => {
    if (of === 0) return
    show ??= progress('copying the queue, pages', of, isQuiet)
    show.done(of - left)
  }
  try {
    if (!(await isRunning(home))) {
      const queue = await openQueue(home)
      try {
        return await queue.takeSnapshot(onPages)
      } finally {
        await queue.close()
      }
    }
    let taken: QueueSnapshot | undefined
    await askProgram(home, 'queue-admin', { op: 'snapshot' }, (row) => {
      const fields = fieldsOf(row)
      if ('done' in fields) taken = { messages: numberField(fields, 'messages'), pages: numberField(fields, 'pages') }
      else onPages(numberField(fields, 'left'), numberField(fields, 'of'))
    })
    if (taken === undefined) throw new CommandError('the queue did not say that its copy is whole')
    return taken
  } finally {
    show?.end()
  }
}
