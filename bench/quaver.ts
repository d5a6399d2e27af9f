/** Ours, as a demo home on the benchmark's disk: the same processes and the same syncs as a system home, but all of them
 *  under one uid. */
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { Instance } from '../test/kit/instance.ts'
import { meterOf } from './cpu.ts'
import type { Server } from './load.ts'

/** From the programs of QUAVER_TEST_TREE if that is set (kit/programs.ts), else from the sources. */
export async function startQuaver(home: string, sinkPort: number): Promise<Server> {
  mkdirSync(home)
  const instance = await Instance.start({
    home,
    relayDomains: ['elsewhere.test'],
    files: { 'control/smtproutes': `elsewhere.test:127.0.0.1:${sinkPort}\n` },
  })
  let used = 0
  const cpu = meterOf(instance.pid)
  return {
    name: 'Quaver',
    port: instance.smtpPort,
    rootPid: instance.pid,
    cpu,
    recipients: { maildir: 'demo@quaver.test', relay: 'reader@elsewhere.test' },
    freshMaildir() {
      const { maildir } = instance
      renameSync(maildir, `${maildir}.${used++}`)
      for (const name of ['', 'tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { mode: 0o700 })
      return join(maildir, 'new')
    },
    async stop() {
      await instance.stop()
      cpu.release()
    },
  }
}
