/** Exchangers of a domain that has published something about TLS, and remote put together to send to them. */
import { createHash, X509Certificate } from 'node:crypto'
import type { StsMode } from '../../src/protocols/mta-sts/policy.ts'
import type { TlsaRecord } from '../../src/protocols/dane/tlsa.ts'
import type { Settings } from '../../src/programs/remote/settings.ts'
import { RemoteRig } from './remote-rig.ts'
import { type Certificate, type Peer, type Script, ScriptedServer } from './scripted-server.ts'

export async function takeMessages(peer: Peer): Promise<void> {
  for (;;) {
    const line = await peer.line()
    if (line === '' || line.startsWith('QUIT')) return
    if (!line.startsWith('DATA')) {
      peer.send('250 ok\r\n')
      continue
    }
    peer.send('354 go\r\n')
    await peer.content()
    peer.send('250 taken\r\n')
  }
}

/** Takes any number of messages, in TLS only. */
export function inTls(shown: Certificate): Script {
  return async (peer) => {
    peer.send('220 hi\r\n')
    await peer.expect('EHLO', '250-hi\r\n250 STARTTLS\r\n')
    await peer.expect('STARTTLS', '220 go\r\n')
    await peer.startTls(shown)
    await takeMessages(peer)
  }
}

export const inClear: Script = async (peer) => {
  peer.send('220 hi\r\n')
  await takeMessages(peer)
}

export interface Exchanger {
  readonly name: string
  readonly script: Script
  /** Where its TLSA records are; absent: its zone is not signed. */
  readonly tlsaHosts?: readonly string[]
}

export class PolicyWorld {
  readonly rig: RemoteRig
  readonly servers: ScriptedServer[] = []

  private constructor(authority: string, settings: Partial<Settings>) {
    this.rig = new RemoteRig('', settings)
    this.rig.authorities.push(authority)
  }

  /** `authority`: PEM of the one that this machine believes. */
  static async of(
    authority: string,
    exchangers: readonly Exchanger[],
    settings: Partial<Settings> = {},
  ): Promise<PolicyWorld> {
    const world = new PolicyWorld(authority, settings)
    for (const { name, script, tlsaHosts } of exchangers) {
      const server = await ScriptedServer.listen([async (peer) => await script(peer).catch(() => undefined)])
      world.servers.push(server)
      const target = { address: '127.0.0.1', port: server.port, name }
      world.rig.targets.push(tlsaHosts === undefined ? target : { ...target, secured: { tlsaHosts } })
    }
    return world
  }

  sts(mode: StsMode, ...mx: string[]): this {
    const text = ['version: STSv1', `mode: ${mode}`, 'max_age: 86400', ...mx.map((name) => `mx: ${name}`)].join('\n')
    const now = Date.now()
    this.rig.kept.policies.set('t.example', { id: '1', fetchedAt: now, usedAt: now, text })
    return this
  }

  /** Of the nth exchanger, under the name where it has them. */
  tlsa(at: number, ...records: TlsaRecord[]): this {
    const target = this.rig.targets[at]
    const name = `_${target?.port}._tcp.${target?.secured?.tlsaHosts[0]}`
    this.rig.dns.tlsaRecords.set(name, { kind: 'found', values: records, isSecure: true })
    return this
  }

  async send(
    params: ReadonlyMap<string, string> = new Map(),
    recipient = 'r@t.example',
    content = 'A: b\n\nx\n',
  ): Promise<string> {
    return await this.rig.report({ params, recipients: [recipient], content })
  }

  async close(): Promise<void> {
    this.rig.close()
    for (const server of this.servers) await server.close()
  }

  /** How many connections each exchanger saw. */
  get connections(): number[] {
    return this.servers.map((server) => server.peers.length)
  }

  /** Whether any of them was spoken to in clear beyond STARTTLS. */
  get envelopes(): number {
    return this.servers.flatMap(({ peers }) => peers.flatMap(({ received }) => received)).filter(isMail).length
  }
}

function isMail(line: string): boolean {
  return line.startsWith('MAIL')
}

/** By the SHA-256 of what the selector means. */
export function tlsaRecord(usage: number, selector: number, pem: string): TlsaRecord {
  const certificate = new X509Certificate(pem)
  const bytes = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' })
  return { usage, selector, matching: 1, data: createHash('sha256').update(bytes).digest() }
}

/** One message, and then everything is closed. */
export async function sendOnce(world: PolicyWorld): Promise<string> {
  const report = await world.send()
  await world.close()
  return report
}
