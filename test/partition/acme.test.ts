/** acme and httpd in a system home: as whom they run, and what each of their accounts can open. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AcmeAuthority } from '#test/kit/acme-authority.ts'
import { DnsServer } from '#test/kit/dns-server.ts'
import { until } from '#test/kit/instance.ts'
import { freePort } from '#test/kit/ports.ts'
import { roles, SystemInstance, uidOf, withoutSystemHome } from '#test/kit/system-instance.ts'

const name = 'mail.example.test'
const waitMillisecondsMax = 60_000

describe('acme and httpd have accounts of their own', { skip: withoutSystemHome(), concurrency: false }, () => {
  const authority = new AcmeAuthority()
  let instance: SystemInstance
  let dns: DnsServer

  before(async () => {
    await authority.begin()
    dns = (await DnsServer.listen()).set(name, 'A 127.0.0.1')
    authority.httpPort = await freePort()
    instance = await SystemInstance.startWith(
      {
        'tls/cert.pem': undefined,
        'tls/key.pem': undefined,
        'control/acme': `${authority.directory}\n`,
        'control/listen-http': `127.0.0.1:${authority.httpPort}\n`,
        'control/dnsservers': `${dns.server}\n`,
        'control/acmeroots': `${authority.rootsFile}\n`,
      },
      'smtp',
      'local',
      'http',
    )
  })
  after(async () => {
    await instance?.end()
    dns.close()
    authority.end()
  })

  const path = (of: string): string => join(instance.home, of)
  /** What a shell says that runs as this account. */
  const as = (account: string, script: string): { code: number | null; said: string } => {
    const uid = uidOf(account)
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', script], { uid, gid: uid, encoding: 'latin1' })
    return { code: status, said: stdout + stderr }
  }

  it('the key is root’s, made by start; the certificate comes all the same', async () => {
    await until('a certificate', waitMillisecondsMax, async () =>
      statSync(path('tls/cert.pem'), { throwIfNoEntry: false }),
    )
    const key = statSync(path('tls/key.pem'))
    assert.deepEqual([key.uid, key.mode & 0o777, statSync(path('tls')).mode & 0o777], [0, 0o600, 0o700])
    const rows = JSON.parse(await instance.quaver('', 'tls', 'status', '--json')) as {
      readonly acme: { state: string }
    }
    assert.equal(rows.acme.state, 'issued')
  })

  it('as their accounts they see neither keys nor what is the other’s', () => {
    assert.equal(statSync(path('acme/state.json')).uid, uidOf(roles.acme))
    assert.equal(statSync(path('run/start-certificates.sock')).uid, uidOf(roles.acme))
    for (const [account, script] of [
      [roles.acme, `cat ${path('tls/key.pem')}`],
      [roles.acme, `ls ${path('tls')}`],
      [roles.httpd, `cat ${path('acme/account.pem')}`],
      [roles.httpd, `touch ${path('acme/challenge/forged')}`],
      [roles.smtpd, `cat ${path('acme/account.pem')}`],
    ] as const) {
      const { code, said } = as(account, script)
      assert.ok(code !== 0 && said.includes('ermission denied'), `${account}: ${script}: ${said}`)
    }
    assert.equal(as(roles.httpd, `cat ${path('acme/challenge/quaver')}`).said, 'quaver\n')
  })

  it('nobody but acme asks start for a request', async () => {
    assert.equal(statSync(path('run/start-certificates.sock')).mode & 0o777, 0o600)
    assert.equal(statSync(path('run/acme-admin.sock')).uid, 0)
    const socket = connect(path('run/start-certificates.sock'))
    await new Promise((resolve) => socket.once('connect', resolve))
    // Not even root does it by frames that are none.
    socket.end('GET / HTTP/1.0\r\n\r\n')
    await new Promise((resolve) => socket.resume().once('close', resolve))
    await until('the end of that in the log', waitMillisecondsMax, async () =>
      /start: .*connection on start-certificates closed/.test(instance.log()) ? true : undefined,
    )
    // It lives, and answers who asks as is right.
    assert.match(await instance.quaver('', 'tls', 'renew'), /is installed\n$/)
  })
})
