import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { policyIdAmong } from '../../../protocols/mta-sts/policy.ts'
import { homeAt } from '../../../stores/home/layout.ts'
import { readTls, writeSelfSigned } from '../../../stores/home/tls-files.ts'
import { realClock } from '../../../system/clock.ts'
import { realFiles } from '../../../system/files.ts'
import { publicKeyDigest } from '../../../system/keys.ts'
import { realRandom } from '../../../system/random.ts'
import { zoneLine } from '../dns-records.ts'
import { hostTlsa, offeredPolicy, tlsReports } from './zone-rows.ts'

it('offers a TLSA record of the certificate that the host shows, as a comment', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'quaver-zone-'))
  t.after(() => rm(path, { recursive: true }))
  const home = homeAt(path)
  await mkdir(join(home.tls, 'mail.example'), { recursive: true })
  assert.equal(await hostTlsa(home, 'mail.example'), undefined)
  const write = (directory: string, host: string) => writeSelfSigned(realFiles, directory, host, realClock, realRandom)
  const shown = async (): Promise<string> => {
    const record = await hostTlsa(home, 'mail.example')
    return record === undefined ? '' : zoneLine(record)
  }
  const lineOf = async (directory: string): Promise<string> => {
    const state = await readTls(directory)
    assert.equal(state.kind, 'pair')
    const digest = state.kind === 'pair' ? publicKeyDigest(state.pair.certificatePem).toString('hex') : ''
    return `; _25._tcp.mail.example. 3600 IN TLSA 3 1 1 ${digest}`
  }
  await write(home.tls, 'other.example')
  assert.equal(await shown(), await lineOf(home.tls))
  await write(join(home.tls, 'mail.example'), 'mail.example')
  assert.equal(await shown(), await lineOf(join(home.tls, 'mail.example')))
})

it('offers MTA-STS and TLS reports of a domain, and says what must be served', () => {
  const policy = offeredPolicy('example.org', 'mail.example.org')
  assert.match(
    policy.note,
    /https:\/\/mta-sts\.example\.org\/.*version: STSv1 \/ mode: testing \/ mx: mail\.example\.org/,
  )
  assert.match(policyIdAmong([policy.value.replaceAll('"', '')]) ?? '', /^[0-9a-f]{20}$/)
  assert.notEqual(policy.value, offeredPolicy('example.org', 'other.example').value, 'another policy has another id')
  assert.equal(
    zoneLine(tlsReports('example.org')),
    '; _smtp._tls.example.org. 3600 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"',
  )
})
