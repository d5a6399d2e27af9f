import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { admit } from './admission.ts'
import { baseEnvironment } from './peer.ts'

const four = { remoteIp: '192.0.2.9', remotePort: 40_000, localIp: '192.0.2.1', localPort: 25 }
const six = { remoteIp: '2001:db8::9', remotePort: 40_000, localIp: '2001:db8::1', localPort: 25 }

describe('the environment of a connection', () => {
  it('holds no name that nobody told', () => {
    assert.deepEqual(Object.fromEntries(baseEnvironment(four, { me: 'lab.test' })), {
      PROTO: 'TCP',
      TCPREMOTEIP: '192.0.2.9',
      TCPREMOTEPORT: '40000',
      TCPLOCALIP: '192.0.2.1',
      TCPLOCALPORT: '25',
      TCPLOCALHOST: 'lab.test',
    })
  })

  it('of an IPv6 client is there by both names', () => {
    assert.deepEqual(Object.fromEntries(baseEnvironment(six, { me: undefined }, { host: 'h.example', info: 'anna' })), {
      PROTO: 'TCP6',
      TCPREMOTEIP: '2001:db8::9',
      TCPREMOTEPORT: '40000',
      TCPREMOTEHOST: 'h.example',
      TCPREMOTEINFO: 'anna',
      TCPLOCALIP: '2001:db8::1',
      TCPLOCALPORT: '25',
      TCPLOCALHOST: '2001:db8::1',
      TCP6REMOTEIP: '2001:db8::9',
      TCP6REMOTEPORT: '40000',
      TCP6REMOTEHOST: 'h.example',
      TCP6REMOTEINFO: 'anna',
      TCP6LOCALIP: '2001:db8::1',
      TCP6LOCALPORT: '25',
      TCP6LOCALHOST: '2001:db8::1',
    })
  })

  it('has the name that XCLIENT told, for programs', () => {
    const host = { me: 'lab.test', mayRelay: () => false }
    const nameFor = (name: string | undefined): string | undefined =>
      admit(four, host, { kind: 'absent' }, { host: name }).environment.get('TCPREMOTEHOST')
    assert.deepEqual([nameFor('mail.example'), nameFor(undefined)], ['mail.example', undefined])
  })
})
