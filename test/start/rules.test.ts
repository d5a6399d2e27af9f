/** control/tcprules/smtp of a running Quaver: compiled before the first connection, again when it changes. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { Instance } from '#test/kit/instance.ts'

/** What a client hears until the greeting is whole, or the end. */
function hears(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = ''
    const socket = connect({ port, host: '127.0.0.1' })
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1')
      if (heard.includes('\n')) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(heard))
  })
}

test('rules are in force from the first connection on, and a change within seconds', { timeout: 60_000 }, async (t) => {
  const instance = await Instance.start({ files: { 'control/tcprules/smtp': '127.:deny\n' } })
  t.after(() => instance.end())
  assert.equal(await hears(instance.smtpPort), '')
  writeFileSync(join(instance.home, 'control/tcprules/smtp'), '127.:allow,RELAYCLIENT=""\n')
  for (let tries = 0; tries < 100 && (await hears(instance.smtpPort)) === ''; tries++)
    await new Promise((resolve) => setTimeout(resolve, 200))
  assert.match(await hears(instance.smtpPort), /^220 /)
  const log = readFileSync(join(instance.home, 'log/quaver.log'), 'latin1')
  assert.match(log, / smtpd: deny 1 /)
  assert.match(log, / start: control\/tcprules\/smtp\.cdb made of 1 rules/)
})
