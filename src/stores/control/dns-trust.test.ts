import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readDnsTrust } from './dns-trust.ts'

it('believes those on loopback, or those of the file and nobody else', () => {
  const servers = ['127.0.0.1', '[::1]:53', '127.0.0.53:5353', '192.0.2.53', '[2001:db8::53]:53', 'rubbish']
  const trusted = (lines?: string[]): string[] => servers.filter(readDnsTrust(lines))
  assert.deepEqual(trusted(), ['127.0.0.1', '[::1]:53', '127.0.0.53:5353'])
  assert.deepEqual(trusted(['192.0.2.53', '2001:DB8::53']), ['192.0.2.53', '[2001:db8::53]:53'])
  assert.deepEqual(trusted(['none']), [])
  assert.deepEqual(trusted(['none', '192.0.2.53']), [])
  assert.deepEqual(trusted([]), [])
  assert.deepEqual(trusted(['nonsense']), [])
})
