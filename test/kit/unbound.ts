/** A validating resolver of Debian's, on a loopback port, with zones of a test's own: signed, signed and out of date, or plain. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SystemDns } from '../../src/clients/dns/resolver.ts'
import { realClock } from '../../src/system/clock.ts'

export interface Zone {
  readonly name: string
  readonly is: 'signed' | 'expired' | 'plain'
  /** Lines of the zone file; names relative to it. */
  readonly records: readonly string[]
}

const startMillisecondsMax = 10_000

export class Unbound {
  readonly server: string
  private readonly directory: string
  private readonly process: ChildProcess

  private constructor(server: string, directory: string, process: ChildProcess) {
    this.server = server
    this.directory = directory
    this.process = process
  }

  static async start(zones: readonly Zone[]): Promise<Unbound> {
    const directory = mkdtempSync(join(tmpdir(), 'quaver-unbound-'))
    const port = await freePort()
    const parts = zones.map((zone) => prepare(directory, zone))
    const settings = [
      'server:',
      `  interface: 127.0.0.1@${port}`,
      '  access-control: 127.0.0.0/8 allow',
      '  do-daemonize: no',
      '  username: ""',
      '  chroot: ""',
      `  directory: "${directory}"`,
      `  pidfile: "${join(directory, 'pid')}"`,
      '  use-syslog: no',
      '  module-config: "validator iterator"',
      ...zones.map(({ name }) => `  local-zone: "${name}" nodefault`),
      ...parts.flatMap(({ anchors }) => anchors.map((anchor) => `  trust-anchor: "${anchor}"`)),
      'remote-control:',
      '  control-enable: no',
      ...parts.flatMap(({ zoneFile }, at) => [
        'auth-zone:',
        `  name: "${zones[at]?.name}"`,
        `  zonefile: "${zoneFile}"`,
        '  for-downstream: no',
        '  for-upstream: yes',
      ]),
    ]
    const file = join(directory, 'unbound.conf')
    writeFileSync(file, `${settings.join('\n')}\n`)
    const child = spawn('unbound', ['-d', '-c', file], { stdio: 'ignore' })
    const unbound = new Unbound(`127.0.0.1:${port}`, directory, child)
    await unbound.answers(zones[0]?.name ?? '')
    return unbound
  }

  async stop(): Promise<void> {
    const ended = once(this.process, 'exit')
    if (this.process.exitCode === null) {
      this.process.kill()
      await ended
    }
    rmSync(this.directory, { recursive: true, force: true })
  }

  private async answers(name: string): Promise<void> {
    const deadline = Date.now() + startMillisecondsMax
    while (Date.now() < deadline && this.process.exitCode === null) {
      const dns = new SystemDns(realClock, [this.server], { queryMilliseconds: 500, triesMax: 1 })
      if ((await dns.mx(name)).kind !== 'soft') return
      await pause(50)
    }
    throw new Error('unbound does not answer')
  }
}

function prepare(directory: string, { name, is, records }: Zone): { zoneFile: string; anchors: string[] } {
  const own = join(directory, name)
  mkdirSync(own)
  const soa = '@ 300 IN SOA ns hostmaster 1 3600 600 86400 300'
  const plain = join(own, 'zone')
  const lines = [soa, '@ 300 IN NS ns', 'ns 300 IN A 192.0.2.53', ...records]
  writeFileSync(plain, `$ORIGIN ${name}.\n${lines.join('\n')}\n`)
  if (is === 'plain') return { zoneFile: plain, anchors: [] }
  const run = (program: string, ...args: string[]): string =>
    execFileSync(program, args, { cwd: own, stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 }).toString()
  const key = run('dnssec-keygen', '-q', '-a', 'ECDSAP256SHA256', '-f', 'KSK', '-n', 'ZONE', name).trim()
  const dates = is === 'expired' ? ['-P', '-s', '20200101000000', '-e', '20200201000000'] : []
  run('dnssec-signzone', '-q', '-z', '-S', ...dates, '-o', name, '-f', 'signed', 'zone')
  const record = readFileSync(join(own, `${key}.key`), 'latin1')
    .split('\n')
    .find((line) => line.includes('DNSKEY') && !line.startsWith(';'))
  if (record === undefined) throw new Error(`dnssec-keygen made no key of ${name}`)
  return { zoneFile: join(own, 'signed'), anchors: [record] }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('not listening')
  return address.port
}
