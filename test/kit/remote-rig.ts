/** The parts of `remote` put together for a test: routes to loopback, a hand-made DNS, and what was reported. */
import { DeadHosts } from '../../src/clients/smtp/dead-hosts.ts'
import { ConnectionPool } from '../../src/clients/smtp/connection-pool.ts'
import { Deadlines } from '../../src/clients/smtp/deadlines.ts'
import {
  type MailExchangerParts,
  MailExchangers,
  type Target,
  type Targets,
} from '../../src/clients/smtp/mail-exchangers.ts'
import { TlsContexts } from '../../src/clients/smtp/tls-contexts.ts'
import type { TlsFacts } from '../../src/clients/smtp/tls-plan.ts'
import { TlsPolicies } from '../../src/clients/smtp/tls-policies.ts'
import type { OpenContent } from '../../src/clients/smtp/transaction.ts'
import {
  type PolicyStore,
  type StoredPolicy,
  StsPolicies,
  type StsPolicyParts,
} from '../../src/clients/mta-sts/policies.ts'
import type { Answer, Dns, MailExchanger, TlsaDns } from '../../src/clients/dns/dns.ts'
import type { SessionFact } from '../../src/protocols/tlsrpt/day.ts'
import type { TlsaRecord } from '../../src/protocols/dane/tlsa.ts'
import type { Status } from '../../src/base/outcome.ts'
import { type Delivered, deliver, type Equipment } from '../../src/programs/remote/delivery.ts'
import { HostShares } from '../../src/programs/remote/host-shares.ts'
import { WaryHosts } from '../../src/programs/remote/wary-hosts.ts'
import type { Settings } from '../../src/programs/remote/settings.ts'
import { type Clock, realClock } from '../../src/system/clock.ts'
import type { Log } from '../../src/system/log.ts'
import { type Script, ScriptedServer } from './scripted-server.ts'
import { type Report, reportOf } from './status.ts'

export const noTlsFacts: TlsFacts = {
  hostCaPem: undefined,
  exhaustive: false,
  forbidden: false,
  clientPem: undefined,
}

export class FakeDns implements Dns, TlsaDns {
  readonly exchangers = new Map<string, Answer<MailExchanger>>()
  readonly hosts = new Map<string, Answer<string>>()
  readonly asked: string[] = []

  readonly texts = new Map<string, Answer<string>>()

  async txt(name: string): Promise<Answer<string>> {
    return this.texts.get(name) ?? { kind: 'none' }
  }

  /** Of a name such as `_25._tcp.mx.test`. */
  readonly tlsaRecords = new Map<string, Answer<TlsaRecord>>()

  async tlsa(name: string): Promise<Answer<TlsaRecord>> {
    this.asked.push(`tlsa ${name}`)
    return this.tlsaRecords.get(name) ?? { kind: 'hard', isSecure: true }
  }

  async mx(name: string): Promise<Answer<MailExchanger>> {
    this.asked.push(`mx ${name}`)
    return this.exchangers.get(name) ?? { kind: 'none' }
  }

  async addresses(name: string): Promise<Answer<string>> {
    this.asked.push(`a ${name}`)
    return this.hosts.get(name) ?? { kind: 'hard' }
  }

  host(name: string, ...addresses: string[]): this {
    this.hosts.set(name, { kind: 'found', values: addresses })
    return this
  }
}

class GivenExchangers extends MailExchangers {
  private readonly given: readonly Target[]

  constructor(parts: MailExchangerParts, given: readonly Target[]) {
    super(parts)
    this.given = given
  }

  override async ofDomain(domain: string): Promise<Targets> {
    return this.given.length > 0 ? { kind: 'targets', targets: this.given } : await super.ofDomain(domain)
  }
}

/** A store of policies without a disk. */
export class MemoryPolicies implements PolicyStore {
  readonly policies = new Map<string, StoredPolicy>()

  async read(domain: string): Promise<StoredPolicy | undefined> {
    return this.policies.get(domain)
  }

  async write(domain: string, kept: StoredPolicy): Promise<void> {
    this.policies.set(domain, kept)
  }
}

export interface Mail {
  readonly sender?: string
  readonly recipients?: readonly string[]
  readonly content?: string | OpenContent
  /** Where it is not the content's. */
  readonly contentBytes?: number
  readonly params?: ReadonlyMap<string, string>
}

export class RemoteRig {
  readonly dns: FakeDns = new FakeDns()
  readonly logged: string[] = []
  /** What was counted of TLS. */
  readonly sessions: SessionFact[] = []
  /** MTA-STS policies, as if they had been fetched before. */
  readonly kept: MemoryPolicies = new MemoryPolicies()
  readonly equipment: Equipment
  /** What this machine takes for authorities. */
  readonly authorities: string[] = []
  /** Exchangers of every domain, in order, in place of the DNS and port 25; empty: those of the DNS. */
  readonly targets: Target[] = []
  /** Everything goes to this relay; empty: by MX. */
  private readonly relay: string
  private readonly changes: Partial<Settings>

  constructor(
    relay: string,
    changes: Partial<Settings> = {},
    poolClock: Clock = realClock,
    attemptClock: Clock = realClock,
  ) {
    this.relay = relay
    this.changes = changes
    // Nothing is shuffled: tests want to know who is first.
    const random = { bytes: (count: number) => Buffer.alloc(count), below: (limit: number) => limit - 1 }
    const log = (line: string): void => void this.logged.push(line)
    const deadHosts = new DeadHosts(realClock, random)
    const contexts = new TlsContexts(log, () => [...this.authorities])
    this.equipment = {
      exchangers: new GivenExchangers(
        {
          dns: this.dns,
          random,
          isOurs: (address) => address === '192.0.2.99',
          isDead: (address) => deadHosts.isDead(address),
        },
        this.targets,
      ),
      deadlines: new Deadlines(attemptClock),
      pool: new ConnectionPool(poolClock),
      deadHosts,
      hostShares: new HostShares(realClock),
      clearHosts: new WaryHosts('TLS', realClock, log),
      patientHosts: new WaryHosts('PIPELINING', realClock, log),
      log,
      contexts,
      countTls: (fact) => void this.sessions.push(fact),
      tlsPolicies: new TlsPolicies(new StsPolicies(this.stsParts(contexts, log)), this.dns),
    }
  }

  async attempt(mail: Mail = {}): Promise<Delivered> {
    const { envelope, content } = this.message(mail)
    return await deliver(envelope, content, this.settings(), this.equipment)
  }

  async statuses(mail: Mail = {}): Promise<readonly Status[]> {
    const delivered = await this.attempt(mail)
    if (delivered === 'crowded') throw new Error('the host has its share of attempts')
    return delivered
  }

  async deliver(mail: Mail = {}): Promise<readonly Report[]> {
    return (await this.statuses(mail)).map(reportOf)
  }

  /** The one report of a message with one recipient, as letter and text. */
  async report(mail: Mail = {}): Promise<string> {
    const [report] = await this.deliver(mail)
    return report === undefined ? '' : report.letter + report.text
  }

  close(): void {
    this.equipment.pool.close()
  }

  private stsParts(contexts: TlsContexts, log: Log): StsPolicyParts {
    return {
      store: this.kept,
      web: {
        addresses: (name) => this.dns.addresses(name),
        isReachable: () => true,
        context: () => contexts.ofMachine(),
      },
      txt: (name) => this.dns.txt(name),
      clock: realClock,
      log,
    }
  }

  private message(mail: Mail) {
    const { sender = 's@x', recipients = ['r@t.example'], content = 'A: b\n\nx\n', params = new Map() } = mail
    const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : undefined
    const open: OpenContent = typeof content === 'string' ? () => (bytes === undefined ? [] : [bytes]) : content
    return {
      envelope: { sender, recipients, params, contentBytes: mail.contentBytes ?? bytes?.length ?? 0 },
      content: open,
    }
  }

  private settings(): Settings {
    return {
      helo: 'lab.test.example',
      unreadable: false,
      smtproutes: new Map([['', this.relay]]),
      senderroutes: undefined,
      secrets: [],
      connectMilliseconds: 5_000,
      replyMilliseconds: 5_000,
      ownNames: new Set(['lab.test.example']),
      attemptsPerHost: 20,
      attemptsPerRelay: 100,
      unwantedExtensions: () => new Set(),
      tlsFacts: () => noTlsFacts,
      heedsPolicies: () => true,
      ...this.changes,
    }
  }
}

/** What a remote host's scripts made of it. */
interface Run {
  readonly reports: readonly string[]
  readonly server: ScriptedServer
  readonly logged: readonly string[]
}

/** Sends to a host that follows the scripts, a connection each. */
export async function against(
  scripts: readonly Script[],
  mail: Parameters<RemoteRig['deliver']>[0] = {},
  settings: ConstructorParameters<typeof RemoteRig>[1] = {},
  messages = 1,
): Promise<Run> {
  const server = await ScriptedServer.listen(scripts)
  const rig = new RemoteRig(`127.0.0.1:${server.port}`, settings)
  const reports: string[] = []
  for (let n = 0; n < messages; n++) reports.push(...(await rig.deliver(mail)).map(({ letter, text }) => letter + text))
  rig.close()
  await server.close()
  return { reports, server, logged: rig.logged }
}
