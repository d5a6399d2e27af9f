/** explain waits for a plug-in as the server does: a minute is its time, and other admin questions are answered sooner. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { demoAddress, Instance, launcher } from '#test/kit/instance.ts'

describe('explain', () => {
  let instance: Instance
  before(async () => {
    const files = { 'control/smtpplugins': '[rcpt]\n:sleep 21; echo "E553 thought about it"\n' }
    instance = await Instance.start({ files })
  })
  after(() => instance.end())

  it('tells what a plug-in says that takes longer than other answers may', async () => {
    const request = ['--ip', '192.0.2.7', '--from', 'a@b.test', '--to', demoAddress, '--home', instance.home]
    const { stdout } = await promisify(execFile)(launcher, ['smtp', 'explain', ...request])
    assert.match(stdout, /→ 553 .*thought about it/)
  })
})
