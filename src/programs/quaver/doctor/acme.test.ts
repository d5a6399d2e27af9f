import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Home, homeAt } from '../../../stores/home/layout.ts'
import { acmeFindings } from './acme.ts'

describe('ACME, looked at by the doctor', () => {
  let home: Home
  let server: Server
  let answer = 'quaver\n'
  let port = 0
  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-doctor-')))
    for (const directory of [home.control, home.tls, home.acme]) mkdirSync(directory)
    control('me', 'localhost')
    control('acme', 'https://ca.test/dir')
    answer = 'quaver\n'
    server = createServer((_request, response) => response.end(answer))
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterEach(() => {
    server.close()
    rmSync(home.path, { recursive: true, force: true })
  })

  const control = (name: string, text: string): void => writeFileSync(join(home.control, name), `${text}\n`)
  const said = async (isAsked: boolean, at = port): Promise<string[]> =>
    (await acmeFindings(home, isAsked, at)).map(({ level, text }) => `${level} ${text}`)

  it('is well where the names lead here, whoever listens there', async () => {
    assert.deepEqual(await said(true), [])
    control('listen-http', '0.0.0.0:80')
    assert.deepEqual(await said(false), [])
    rmSync(join(home.control, 'acme'))
    assert.deepEqual(await said(true, 1), [])
  })

  it('says where a name leads elsewhere, or nowhere', async () => {
    answer = '<html>'
    assert.match((await said(true)).join(), /^warning http:\/\/localhost:\d+\S+ is shown by something else/)
    assert.match((await said(true, 1)).join(), /^warning \S+ cannot be had: .*ECONNREFUSED/)
  })

  it('says where nobody would show a challenge, and what stands in the way', async () => {
    assert.match((await said(false)).join(), /^warning control\/acme is there, and neither/)
    control('acmehook', '/bin/true')
    assert.deepEqual(await said(false), [])
    writeFileSync(join(home.acme, 'state.json'), '{')
    assert.match((await said(false)).join(), /^error .*state\.json: .*remove it/)
  })
})
