import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import { after, it } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { without } from '#test/kit/tool.ts'
import { get } from './get.ts'

const skip = without('openssl')
const authority = skip === false ? new Authority() : undefined
after(() => authority?.remove())

it('gives up on a server that drips, whatever it has sent', { skip }, async (t) => {
  const { cert, key } = authority?.issue('a.test', 'IP:127.0.0.1') ?? { cert: '', key: '' }
  const server = createServer({ cert, key }, (_, response) => {
    const drip = setInterval(() => response.write('x'), 20)
    response.on('close', () => clearInterval(drip))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const secureContext = createSecureContext({ ca: authority?.caPem ?? '' })
  const limits = { bytesMax: 1_000_000, millisecondsMax: 300 }
  await assert.rejects(
    get(`https://127.0.0.1:${address.port}/`, limits, { accept: 'text/plain', secureContext }),
    /^ExchangeError: https:.*: no answer in 0\.3 s$/,
  )
})
