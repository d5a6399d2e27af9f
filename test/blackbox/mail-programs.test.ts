/** Mail programs by others, against one whole Quaver: what people send and fetch with works, TLS verified. */
import { after, before, describe } from 'node:test'
import { type LoginInstance, startWithLogins } from '#test/kit/login-instance.ts'
import { without } from '#test/kit/tool.ts'
import { fetchingPrograms } from './mail-programs/fetching.ts'
import { sendingCode } from './mail-programs/sending-code.ts'
import { sendingPrograms } from './mail-programs/sending.ts'

describe('mail programs', { skip: without('openssl'), concurrency: false }, () => {
  let world: LoginInstance | undefined
  before(async () => {
    world = await startWithLogins()
  })
  after(() => world?.end())
  const running = (): LoginInstance => {
    if (world === undefined) throw new Error('it does not run')
    return world
  }

  describe('sending', () => sendingPrograms(running))
  describe('sending by code', () => sendingCode(running))
  describe('fetching', () => fetchingPrograms(running))
})
