/** explain waits for a plug-in as the server does: a minute is its time, and other admin questions are answered sooner. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { askAll } from '../../src/clients/admin/ask.ts'
import { explain } from '../../src/programs/quaver/smtp.ts'
import { serveExplain } from '../../src/programs/smtpd/admin.ts'
import { homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { realClock } from '../../src/system/clock.ts'
import { demoAddress, Instance, launcher } from '#test/kit/instance.ts'

const plugInMilliseconds = 60_000
const client = { ip: '192.0.2.7', helo: 'a.test', from: 'a@b.test', to: [demoAddress] }

describe('explain', () => {
  it('waits as long as a plug-in may take, where other questions do not', async (t) => {
    const home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-explain-')))
    for (const path of [home.control, home.run]) mkdirSync(path)
    const path = socketPath(home, 'smtpd-admin')
    const thought = Promise.withResolvers<void>()
    let asked = 0
    const both = Promise.withResolvers<void>()
    const thinking = async function* () {
      if (++asked === 2) both.resolve()
      await thought.promise
      yield { command: '', reply: '553 thought about it', closes: false, findings: [] }
    }
    const server = createServer((socket) => serveExplain(socket, thinking, realClock)).listen(path)
    t.after(() => {
      server.close()
      rmSync(home.path, { recursive: true })
    })
    await once(server, 'listening')
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const explained = explain({ ...client, home: home.path, json: true })
    const other = assert.rejects(askAll(path, { op: 'explain', ...client }, realClock), /no answer on .* in 20 s$/)
    await both.promise
    t.mock.timers.tick(plugInMilliseconds)
    await other
    thought.resolve()
    await explained
  })

  describe('of a running server', () => {
    let instance: Instance
    before(async () => {
      const files = { 'control/smtpplugins': '[rcpt]\n:sleep 0.1; echo "E553 thought about it"\n' }
      instance = await Instance.start({ files })
    })
    after(() => instance.end())

    it('tells what a plug-in says that takes its time', async () => {
      const request = ['--ip', '192.0.2.7', '--from', 'a@b.test', '--to', demoAddress, '--home', instance.home]
      const { stdout } = await promisify(execFile)(launcher, ['smtp', 'explain', ...request])
      assert.match(stdout, /→ 553 .*thought about it/)
    })
  })
})
