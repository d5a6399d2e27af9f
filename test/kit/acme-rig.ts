/** acme's renewer on a home of its own, with an authority that a test can lead, and a clock that it can shift. */
import { X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeError } from '../../src/base/outcome.ts'
import type { CertificateAnswer } from '../../src/contracts/certificates.ts'
import { byFiles } from '../../src/programs/acme/proofs.ts'
import { Renewer } from '../../src/programs/acme/renewer.ts'
import type { AcmeSettings, RenewerWorld } from '../../src/programs/acme/world.ts'
import { challengePages } from '../../src/programs/httpd/pages.ts'
import { pageServer } from '../../src/programs/httpd/page-server.ts'
import { readChallenge } from '../../src/stores/acme/challenge-files.ts'
import { certificateRequest, installChain } from '../../src/stores/home/certified-pair.ts'
import { type Home, homeAt } from '../../src/stores/home/layout.ts'
import { tlsPaths } from '../../src/stores/home/tls-files.ts'
import { type Clock, realClock } from '../../src/system/clock.ts'
import { realFiles } from '../../src/system/files.ts'
import { realRandom } from '../../src/system/random.ts'
import { AcmeAuthority } from './acme-authority.ts'

export const host = 'mail.example.test'

export class AcmeRig {
  readonly authority = new AcmeAuthority()
  home: Home = homeAt('/nowhere')
  /** Milliseconds that the clock is ahead. */
  shift = 0
  log: string[] = []
  names: readonly string[] = [host]
  optional: readonly string[] = []
  /** Why start installs nothing. */
  refuses: string | undefined
  /** Over the usual ones. */
  settings: Partial<AcmeSettings> = {}
  readonly clock: Clock = { ...realClock, now: () => Date.now() + this.shift }
  private httpd: Server | undefined

  async begin(): Promise<void> {
    await this.authority.begin()
    const nothing = (): void => undefined
    const pages = challengePages((token) => readChallenge(realFiles, this.home, token), nothing)
    const httpd = pageServer(pages, nothing)
    this.httpd = httpd
    await new Promise<void>((resolve) => httpd.listen(0, '127.0.0.1', resolve))
    this.authority.httpPort = (httpd.address() as AddressInfo).port
  }

  end(): void {
    this.authority.end()
    this.httpd?.close()
  }

  reset(): void {
    this.home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-acme-')))
    mkdirSync(this.home.tls, { mode: 0o700 })
    mkdirSync(join(this.home.acme, 'challenge'), { recursive: true })
    this.shift = 0
    this.log = []
    this.names = [host]
    this.optional = []
    this.refuses = undefined
    this.settings = {}
    this.authority.reset()
  }

  clear(): void {
    rmSync(this.home.path, { recursive: true, force: true })
  }

  renewer(): Renewer {
    const { home, clock, authority } = this
    return new Renewer({
      home,
      files: realFiles,
      clock,
      random: realRandom,
      certificates: this.asStart(),
      leadsWhere: async (of) => !of.startsWith('elsewhere'),
      isNowhere: async (of) => of.startsWith('nowhere'),
      log: (line) => this.log.push(line),
      settings: async () => ({
        directory: authority.directory,
        contact: 'postmaster@example.test',
        binding: undefined,
        profile: undefined,
        proof: byFiles(realFiles, home),
        roots: authority.authority.caPem,
        ...this.settings,
      }),
    })
  }

  installed(): X509Certificate {
    return new X509Certificate(readFileSync(tlsPaths(this.home.tls).certificate))
  }

  /** As start answers. */
  private asStart(): RenewerWorld['certificates'] {
    const { tls } = this.home
    const answered = (act: () => Promise<CertificateAnswer>): Promise<CertificateAnswer> =>
      act().catch((error: unknown) => ({ kind: 'refused', ref: 0, why: describeError(error) }))
    return {
      ask: (without) =>
        answered(async () => {
          const optional = this.optional.filter((one) => !without.includes(one))
          const request = await certificateRequest(realFiles, tls, [...this.names, ...optional])
          return { kind: 'request', ref: 0, ...request, optional }
        }),
      install: (chainPem) =>
        answered(async () => {
          if (this.refuses !== undefined) throw new Error(this.refuses)
          await installChain(realFiles, tls, { names: this.names, chainPem, now: this.clock.now() })
          return { kind: 'installed', ref: 0 }
        }),
    }
  }
}

/** What is the trouble; empty: none. */
export function fault(renewer: Renewer): string {
  return renewer.troubles()[0]?.text ?? ''
}
