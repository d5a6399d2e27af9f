/** Let's Encrypt's authority for tests (pebble), on loopback: a fifth of good nonces is refused. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Authority } from './certificates.ts'
import { freePort } from './ports.ts'
import { until } from './instance.ts'

const startMillisecondsMax = 60_000

export class Pebble {
  directory = ''
  readonly caPem: string
  /** Where it fetches challenges. */
  private readonly httpPort: number
  private readonly dnsServer: string
  private readonly authority = new Authority()
  private readonly place = mkdtempSync(join(tmpdir(), 'quaver-pebble-'))
  private process: ChildProcess | undefined

  /** `dnsServer`: who knows the names, address:port. */
  constructor(httpPort: number, dnsServer: string) {
    this.httpPort = httpPort
    this.dnsServer = dnsServer
    this.caPem = this.authority.caPem
  }

  async begin(): Promise<void> {
    const [port, adminPort, tlsPort] = await Promise.all([freePort(), freePort(), freePort()])
    const { cert, key } = this.authority.issue('pebble', 'IP:127.0.0.1')
    const at = (file: string): string => join(this.place, file)
    writeFileSync(at('cert.pem'), cert)
    writeFileSync(at('key.pem'), key)
    const pebble = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${adminPort}`,
      certificate: at('cert.pem'),
      privateKey: at('key.pem'),
      httpPort: this.httpPort,
      tlsPort,
    }
    writeFileSync(at('config.json'), JSON.stringify({ pebble }))
    this.process = spawn('pebble', ['-config', at('config.json'), '-dnsserver', this.dnsServer], {
      stdio: 'ignore',
      // What was proven once is to be proven again.
      env: {
        PEBBLE_AUTHZREUSE: '0',
        PATH: process.env['PATH'],
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_WFE_NONCEREJECT: '20',
      },
    })
    this.process.on('error', () => undefined)
    this.directory = `https://127.0.0.1:${port}/dir`
    await until('pebble serving', startMillisecondsMax, () => this.serves())
  }

  async end(): Promise<void> {
    const child = this.process
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    this.authority.remove()
    rmSync(this.place, { recursive: true, force: true })
  }

  private async serves(): Promise<true | undefined> {
    return await new Promise((resolve) => {
      const asked = request(this.directory, { ca: this.caPem, agent: false }, (response) => {
        response.resume()
        resolve(true)
      })
      asked.on('error', () => resolve(undefined))
      asked.end()
    })
  }
}
