/** Certificates of a small authority of our own, made with openssl for one test run. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pem as pemOf } from '../../src/protocols/x509/self-signed.ts'
import type { Certificate } from './scripted-server.ts'

export class Authority {
  readonly caPem: string
  private readonly directory: string

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'quaver-ca-'))
    this.openssl(['req', '-x509', ...newKey('ca.key'), '-out', 'ca.pem', '-subj', '/CN=Test CA', '-days', '2'])
    this.caPem = this.read('ca.pem')
  }

  /** `names` as openssl writes them: `DNS:relay.test`, `IP:127.0.0.1`. */
  issue(commonName: string, ...names: string[]): Certificate {
    return this.sign(commonName, 2, `subjectAltName=${names.join(',') || 'DNS:none.invalid'}`)
  }

  /** As a public authority would: for a season, for servers only, with a place for revocations. */
  issueForServer(hostName: string): Certificate {
    const uses = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=serverAuth']
    const revocations = `crlDistributionPoints=URI:http://${hostName}/revoked.crl`
    return this.sign(hostName, 90, `subjectAltName=DNS:${hostName}`, ...uses, revocations)
  }

  /** Of a request (PKCS #10, DER) as it is: its own signature is verified, its names are taken over. The chain in PEM. */
  certify(request: Buffer, days: number): string {
    const csr = pemOf('CERTIFICATE REQUEST', request)
    writeFileSync(join(this.directory, 'asked.csr'), csr)
    this.openssl(['req', '-in', 'asked.csr', '-verify', '-noout'])
    writeFileSync(join(this.directory, 'asked.ext'), 'authorityKeyIdentifier=keyid:always\n')
    const period = ['-days', String(days), '-extfile', 'asked.ext', '-copy_extensions', 'copy']
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', ...period]
    this.openssl(['x509', '-req', '-in', 'asked.csr', '-out', 'asked.pem', ...signing])
    return this.read('asked.pem') + this.caPem
  }

  /** `key` as openssl names kinds of keys, `ec` being P-256. */
  selfSigned(key: string, ...options: string[]): Certificate {
    const kind = key === 'ec' ? newKey('own.key') : ['-newkey', key, '-nodes', '-keyout', 'own.key']
    this.openssl(['req', '-x509', ...kind, '-out', 'own.pem', '-subj', '/CN=own.test', '-days', '2', ...options])
    return { cert: this.read('own.pem'), key: this.read('own.key') }
  }

  private sign(commonName: string, days: number, ...extensions: string[]): Certificate {
    writeFileSync(join(this.directory, 'extensions'), `${extensions.join('\n')}\n`)
    this.openssl(['req', ...newKey('leaf.key'), '-out', 'leaf.csr', '-subj', `/CN=${commonName}`])
    const period = ['-days', String(days), '-extfile', 'extensions']
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', ...period]
    this.openssl(['x509', '-req', '-in', 'leaf.csr', '-out', 'leaf.pem', ...signing])
    return { cert: this.read('leaf.pem'), key: this.read('leaf.key') }
  }

  /** Until `remove`; anybody may read it. */
  get caFile(): string {
    chmodSync(this.directory, 0o755)
    return join(this.directory, 'ca.pem')
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  private read(name: string): string {
    return readFileSync(join(this.directory, name), 'latin1')
  }

  private openssl(args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.directory, stdio: 'pipe', timeout: 30_000 })
  }
}

function newKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file]
}
