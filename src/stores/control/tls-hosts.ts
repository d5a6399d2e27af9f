/** The TLS half of HOME/control: clientcert.pem, tlshosts/NAME.pem, tlshosts/exhaustivelist, notlshosts/NAME, as in qmail's TLS
 *  patch. Reread at most once a second.
 *  Never:  checks names: the caller gives host names and addresses only, which are safe in a path.
 *  Fails:  a file that exists but cannot be read is reported; if it makes a demand, the demand stands. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'

const lookedAtMilliseconds = 1_000
const pemBytesMax: number = 1024 * 1024

export interface TlsHostFacts {
  /** Undefined: no such file. Empty: unreadable, so that no certificate verifies. */
  readonly hostCaPem: string | undefined
  readonly exhaustive: boolean
  readonly forbidden: boolean
  readonly clientPem: string | undefined
}

export class TlsHosts {
  private readonly directory: string
  private readonly clock: Clock
  private readonly onProblem: (problem: string) => void
  private lookedAt = Number.NEGATIVE_INFINITY
  private demanded: ReadonlySet<string> = new Set()
  private forbidden: ReadonlySet<string> = new Set()
  private readonly pems = new Map<string, { readonly stamp: string; readonly text: string }>()
  private clientPem: string | undefined
  private lastProblem = ''

  constructor(controlDirectory: string, clock: Clock, onProblem: (problem: string) => void) {
    this.directory = controlDirectory
    this.clock = clock
    this.onProblem = onProblem
  }

  /** `name` in lower case: a host name, or an address. */
  of(name: string): TlsHostFacts {
    this.refresh()
    const hostFile = `${name}.pem`
    const demanded = this.demanded.has(hostFile)
    return {
      hostCaPem: demanded ? (this.pem(join('tlshosts', hostFile)) ?? '') : undefined,
      exhaustive: !demanded && this.demanded.has('exhaustivelist'),
      forbidden: this.forbidden.has(name),
      clientPem: this.clientPem,
    }
  }

  private refresh(): void {
    const now = this.clock.monotonic()
    if (now - this.lookedAt < lookedAtMilliseconds) return
    this.lookedAt = now
    this.demanded = this.names('tlshosts') ?? this.demanded
    this.forbidden = this.names('notlshosts') ?? this.forbidden
    this.clientPem = this.pem('clientcert.pem')
  }

  /** Undefined: unreadable now, so the names known before stay. */
  private names(name: string): ReadonlySet<string> | undefined {
    try {
      return new Set(readdirSync(join(this.directory, name)).map((entry) => entry.toLowerCase()))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return new Set()
      this.report(`control/${name}: ${describeError(error)}`)
      return undefined
    }
  }

  private pem(name: string): string | undefined {
    const path = join(this.directory, name)
    try {
      const facts = statSync(path)
      const stamp = `${facts.ino}:${facts.size}:${facts.mtimeMs}`
      const known = this.pems.get(name)
      if (known?.stamp === stamp) return known.text
      if (facts.size > pemBytesMax) throw new Error(`${facts.size} bytes, limit ${pemBytesMax}`)
      const text = readFileSync(path, 'latin1')
      this.pems.set(name, { stamp, text })
      return text
    } catch (error) {
      this.pems.delete(name)
      if (errorCode(error) !== 'ENOENT') this.report(`control/${name}: ${describeError(error)}`)
      return undefined
    }
  }

  private report(problem: string): void {
    if (problem !== this.lastProblem) this.onProblem(problem)
    this.lastProblem = problem
  }
}
