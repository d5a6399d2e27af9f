/** Every port with TLS as testssl.sh judges it: nothing above "low". */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Authority } from '../kit/certificates.ts'
import { Instance, type LoginPort } from '../kit/instance.ts'
import { testssl, testsslMillisecondsMax, type TestedPort, withoutTestssl } from '../kit/testssl.ts'

const skip = withoutTestssl()
const hostName = 'mail.test'
const good = new Set(['OK', 'INFO', 'LOW', 'DEBUG'])
/** Of the machine, not of the server: its openssl lacks what the check needs, or nobody tells how old a clock is. */
const excused = new Set(['engine_problem', 'cipherlist_EXPORT', 'cipherlist_LOW', 'cipherlist_3DES_IDEA', 'scanTime'])

let authority: Authority
let instance: Instance
let home = ''
before(async () => {
  if (skip !== false) return
  authority = new Authority()
  home = mkdtempSync(join(tmpdir(), 'quaver-testssl-'))
  const { cert, key } = authority.issueForServer(hostName)
  mkdirSync(join(home, 'tls'), { mode: 0o700 })
  writeFileSync(join(home, 'tls/cert.pem'), cert)
  writeFileSync(join(home, 'tls/key.pem'), key)
  chmodSync(join(home, 'tls/key.pem'), 0o600)
  instance = await Instance.start({ home, files: {}, services: ['smtp', 'submission', 'pop3', 'local'] })
})
after(async () => {
  await instance?.end()
  authority?.remove()
  if (home !== '') rmSync(home, { recursive: true, force: true })
})

async function assertGood(port: number, startTls: TestedPort['startTls']): Promise<void> {
  const findings = await testssl({ port, startTls, hostName, caPem: authority.caPem })
  const severityOf = (id: string): string | undefined => findings.find((found) => found.id === id)?.severity
  // What says that it has met the server, and made the checks.
  for (const id of [
    'TLS1_2',
    'TLS1_3',
    'secure_client_renego',
    'cert_trust',
    'cert_chain_of_trust',
    'cipherlist_STRONG',
  ])
    assert.equal(severityOf(id), 'OK', `${id}: ${JSON.stringify(findings)}`)
  const bad = findings.filter(({ id, severity }) => !good.has(severity) && !(severity === 'WARN' && excused.has(id)))
  assert.deepEqual(bad, [])
}

describe('testssl.sh finds nothing above low', { skip }, () => {
  const limit = { timeout: testsslMillisecondsMax }
  it('on the SMTP port', limit, () => assertGood(instance.smtpPort, 'smtp'))
  // One of the four that `login` serves, by one and the same code; the others when asked for.
  it('on the port of implicit TLS', limit, () => assertGood(instance.portOf('submissions'), undefined))
  const others: [port: LoginPort, startTls: TestedPort['startTls']][] = [
    ['submission', 'smtp'],
    ['pop3', 'pop3'],
    ['pop3s', undefined],
  ]
  const unasked = process.env['QUAVER_TESTSSL'] === undefined ? 'set QUAVER_TESTSSL=1' : false
  for (const [port, startTls] of others)
    it(`on ${port}`, { ...limit, skip: unasked }, () => assertGood(instance.portOf(port), startTls))
})
