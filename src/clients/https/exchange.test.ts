import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { Authority } from '#test/kit/certificates.ts'
import { without } from '#test/kit/tool.ts'
import { exchange } from './exchange.ts'

const limits = { bytesMax: 1000, millisecondsMax: 20_000 }

describe('one exchange over HTTPS', { skip: without('openssl') }, () => {
  let server: Server
  let roots = ''
  let base = ''
  let serve: (request: IncomingMessage, response: ServerResponse) => void = () => undefined

  before(async () => {
    const authority = new Authority()
    roots = authority.caPem
    server = createServer(authority.issue('x', 'IP:127.0.0.1'), (request, response) => serve(request, response))
    authority.remove()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  it('says what came, whatever its status; a redirect is an answer like others', async () => {
    serve = (request, response) => {
      response.writeHead(302, { location: 'https://elsewhere.test/', 'x-two': ['a', 'b'] })
      request.pipe(response)
    }
    const answer = await exchange(base, { method: 'POST', body: Buffer.from('hello'), roots }, limits)
    assert.deepEqual([answer.status, answer.body.toString()], [302, 'hello'])
    assert.deepEqual(
      ['location', 'x-two', 'x-none'].map((name) => answer.header(name)),
      ['https://elsewhere.test/', 'a, b', undefined],
    )
  })

  it('takes no more than it may, and waits no longer; the text names the URL', async () => {
    serve = (_request, response) => response.end('x'.repeat(1001))
    await assert.rejects(
      exchange(base, { roots }, limits),
      new RegExp(`^ExchangeError: ${base}: more than 1000 bytes$`),
    )
    serve = (_request, response) => response.write('x')
    await assert.rejects(exchange(base, { roots }, { ...limits, millisecondsMax: 300 }), /: no answer in 0\.3 s$/)
    serve = (_request, response) => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('x', () => response.destroy())
    }
    await assert.rejects(exchange(base, { roots }, limits), /^ExchangeError: https:\/\/127/)
  })

  it('believes nobody whom it was not told to', async () => {
    await assert.rejects(exchange(base, {}, limits), /certificate/)
    await assert.rejects(exchange(base.replace('127.0.0.1', 'localhost'), { roots }, limits), /localhost/)
  })
})
