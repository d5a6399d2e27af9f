/** Keeps the certificate of HOME/tls an authority's, and in good time a new one (docs/programs/acme.md has the states).
 *  Knows:  whether one is due, and when the authority may be asked again: both survive a restart (HOME/acme/state.json).
 *  Never:  makes two attempts at once, or one whose failure could not be remembered.
 *  Fails:  an attempt that fails is told, and made again later; what is in force stays so. */
import { createHash, X509Certificate } from 'node:crypto'
import { describeError } from '../../base/outcome.ts'
import { AcmeClient, AcmeFailure } from '../../clients/acme/acme-client.ts'
import type { CertificateClient } from '../../clients/certificates/certificate-client.ts'
import type { CertificateRequest } from '../../contracts/certificates.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import type { AccountBinding } from '../../protocols/acme/objects.ts'
import { type Period, renewalIdOf, renewalMoment, retryDelay, windowAskedAgain } from '../../protocols/acme/renewal.ts'
import { accountKey } from '../../stores/acme/account-key.ts'
import {
  type AcmeState,
  type Failure,
  readAcmeState,
  type Renewal,
  writeAcmeState,
} from '../../stores/acme/acme-state.ts'
import { forgetIssued, keepIssued, readIssued } from '../../stores/acme/issued-chain.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Clock } from '../../system/clock.ts'
import type { Files } from '../../system/files.ts'
import { coversHost, validityOf } from '../../system/keys.ts'
import type { Random } from '../../system/random.ts'
import {
  failuresInAnHourMax,
  failuresWithinMilliseconds,
  issuedInAWeekMax,
  issuedWithinMilliseconds,
} from './limits.ts'
import { obtainChain } from './order.ts'
import type { Proof } from './proofs.ts'

/** What control/ says. */
export interface AcmeSettings {
  readonly directory: string
  readonly contact: string | undefined
  readonly binding: AccountBinding | undefined
  readonly profile: string | undefined
  readonly proof: Proof
  /** PEM. */
  readonly roots: string | undefined
}

export interface RenewerWorld {
  readonly home: Home
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
  readonly certificates: Pick<CertificateClient, 'ask' | 'install'>
  /** The DNS says that nobody finds this name: an authority would count it as a failure of ours. */
  isNowhere(name: string): Promise<boolean>
  log(line: string): void
  /** Throws with a text for the administrator. */
  settings(): Promise<AcmeSettings>
}

export type Step = (text: string) => void

const diceSides = 1_000_000
const timesKept = 10

export class Renewer {
  private readonly world: RenewerWorld
  private running: Promise<string | undefined> | undefined
  /** In what runs, or ran last. */
  private attempted = false
  private fault: string | undefined
  /** As it was when an attempt began that runs now. */
  private before: AcmeState | undefined

  constructor(world: RenewerWorld) {
    this.world = world
  }

  /** What is in the middle of an attempt is not to count as failed, nor to begin again at once. */
  async stop(): Promise<void> {
    const { before } = this
    if (before === undefined) return
    const text = 'the last attempt was cut off by a stop'
    const { count = 0, timesMs = [] } = before.failure ?? {}
    const atMs = this.world.clock.now()
    const failure = { count, atMs, timesMs, text, againMs: atMs + afterStopMilliseconds }
    await this.keep({ ...(await this.state()), failure })
  }

  /** Does what is due; again while it runs waits for it. Never rejects. */
  async look(): Promise<void> {
    await (this.running ?? this.run(async () => await this.renewIfDue()))
  }

  /** Whatever is due. Undefined: a new certificate is installed; else why not. */
  async renew(step: Step): Promise<string | undefined> {
    while (this.running !== undefined) {
      const fault = await this.running
      // What went on by itself is what was wished for; a mere look is not.
      if (this.attempted) return fault
    }
    return await this.run(async () => await this.renewNow(step))
  }

  troubles(): Trouble[] {
    return this.fault === undefined ? [] : [{ kind: 'renewal', where: '', text: this.fault }]
  }

  private async run(work: () => Promise<void>): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    this.running = promise
    this.attempted = false
    let fault: string | undefined
    try {
      await work()
    } catch (error) {
      fault = describeError(error)
    }
    if (fault !== undefined && fault !== this.fault) this.world.log(`alert: ${fault}`)
    this.fault = fault
    this.running = undefined
    resolve(fault)
    return fault
  }

  private async renewIfDue(): Promise<void> {
    const { clock } = this.world
    const { state, settings, request } = await this.prepare()
    const { failure } = state
    const waits = failure !== undefined && clock.now() < soonest(failure.againMs, clock)
    const reason = await this.reason(state, settings, request, !waits)
    if (reason === undefined) return
    if (waits) throw new Error(failure.text)
    await this.attempt(reason, await this.state(), settings, request, () => undefined)
  }

  private async renewNow(step: Step): Promise<void> {
    const { clock } = this.world
    const { state, settings, request } = await this.prepare()
    const since = (times: readonly number[], milliseconds: number): number =>
      times.filter((time) => Math.abs(clock.now() - time) < milliseconds).length
    if (since(state.failure?.timesMs ?? [], failuresWithinMilliseconds) >= failuresInAnHourMax)
      throw new Error(`${failuresInAnHourMax} attempts failed within the hour: one more, and authorities lock us out`)
    if (since(state.issued?.timesMs ?? [], issuedWithinMilliseconds) >= issuedInAWeekMax)
      throw new Error(`${issuedInAWeekMax} certificates came within the week: authorities give no more`)
    await this.attempt('asked for', state, settings, request, step)
  }

  private async prepare(): Promise<{ state: AcmeState; settings: AcmeSettings; request: CertificateRequest }> {
    const { home, files } = this.world
    const state = await this.state()
    const settings = await this.world.settings()
    const chain = await readIssued(files, home)
    if (chain !== undefined) await this.install(chain)
    return { state, settings, request: await this.asked() }
  }

  private async asked(): Promise<CertificateRequest> {
    const answer = await this.world.certificates.ask()
    if (answer.kind === 'request') return answer
    throw new Error(answer.kind === 'refused' ? answer.why : 'start answers something else')
  }

  /** Why a certificate is to be got now; undefined: none is. */
  private async reason(
    state: AcmeState,
    settings: AcmeSettings,
    { names, certificatePem }: CertificateRequest,
    mayAsk: boolean,
  ): Promise<string | undefined> {
    if (certificatePem === undefined) return 'there is no certificate of an authority'
    const missing = names.find((name) => !coversHost(certificatePem, name))
    if (missing !== undefined) return `the certificate is not for ${missing}`
    if (state.issued?.directory !== settings.directory) return `the certificate is not by ${settings.directory}`
    const now = this.world.clock.now()
    if (validityOf(certificatePem).toMs <= now) return 'the certificate is out of date'
    const renewal = await this.renewal(state, settings, certificatePem, mayAsk)
    return renewal.atMs <= now ? 'it is time to renew the certificate' : undefined
  }

  /** The moment is drawn once for a certificate, and again where the authority has moved its window. */
  private async renewal(
    state: AcmeState,
    settings: AcmeSettings,
    certificatePem: string,
    mayAsk: boolean,
  ): Promise<Renewal> {
    const { clock } = this.world
    const certificate = digestOf(certificatePem)
    const known = state.renewal?.certificate === certificate ? state.renewal : undefined
    const isFresh = known?.askAgainMs === undefined || clock.now() < soonest(known.askAgainMs, clock)
    if (known !== undefined && (isFresh || !mayAsk)) return known
    const validity = validityOf(certificatePem)
    const suggested = mayAsk ? await this.suggested(state, settings, certificatePem) : 'unknown'
    // A suggestion that cannot be asked for again holds as long as none contradicts it.
    const renewal = suggested === 'unknown' ? known : this.drawn(certificate, validity, suggested, known)
    const result = renewal ?? { certificate, atMs: renewalMoment(validity, undefined, this.dice()), explanation: '' }
    const asked = suggested === 'unknown' ? { askAgainMs: clock.now() + windowAskedAgain(undefined) } : {}
    const kept = { ...result, ...asked }
    await this.keep({ ...state, renewal: kept })
    if (kept.explanation !== '' && kept.explanation !== known?.explanation)
      this.world.log(`the authority says why it is renewed then: ${kept.explanation}`)
    return kept
  }

  private drawn(
    certificate: string,
    validity: Period,
    suggested: Suggestion | undefined,
    known: Renewal | undefined,
  ): Renewal {
    if (suggested === undefined)
      return { certificate, atMs: renewalMoment(validity, undefined, this.dice()), explanation: '' }
    const { window, askAgainMs, explanation } = suggested
    const isInWindow = known !== undefined && known.atMs >= window.fromMs && known.atMs <= window.toMs
    const atMs = isInWindow ? known.atMs : renewalMoment(validity, window, this.dice())
    return { certificate, atMs, askAgainMs, explanation }
  }

  /** Undefined: the authority suggests nothing. `unknown`: it could not be asked, which is no failure of ours. */
  private async suggested(
    state: AcmeState,
    settings: AcmeSettings,
    certificatePem: string,
  ): Promise<Suggestion | undefined | 'unknown'> {
    const id = renewalIdOf(new X509Certificate(certificatePem).raw)
    if (id === undefined) return undefined
    try {
      const asked = await (await this.client(state, settings)).renewalInfo(id)
      if (asked === undefined) return undefined
      const askAgainMs = this.world.clock.now() + windowAskedAgain(asked.retryAfterMs)
      return { window: asked.value, askAgainMs, explanation: asked.value.explanation }
    } catch (error) {
      this.world.log(`warning: when to renew could not be asked: ${describeError(error)}`)
      return 'unknown'
    }
  }

  /** It counts as failed until it is done: a process that ends in the middle must not begin again at once. */
  private async attempt(
    reason: string,
    state: AcmeState,
    settings: AcmeSettings,
    request: CertificateRequest,
    step: Step,
  ): Promise<void> {
    const { log } = this.world
    const tell: Step = (text) => {
      log(text)
      step(text)
    }
    tell(`${reason}: ${request.names.join(', ')} by ${settings.directory}`)
    const during = this.failed(state.failure, 'the last attempt ended in its middle', undefined)
    await this.keep({ ...state, failure: during })
    this.before = state
    this.attempted = true
    try {
      const client = await this.client(state, settings)
      await this.order(client, state, settings, request, tell)
    } catch (error) {
      const text = describeError(error)
      const failure = this.failed(state.failure, text, error instanceof AcmeFailure ? error : undefined)
      await this.keep({ ...(await this.state()), failure })
      throw new Error(text, { cause: error })
    } finally {
      this.before = undefined
    }
    tell(`the certificate for ${request.names.join(', ')} is installed`)
    // When the next one is due.
    await this.reason(await this.state(), settings, await this.asked(), true)
  }

  private async order(
    client: AcmeClient,
    before: AcmeState,
    settings: AcmeSettings,
    request: CertificateRequest,
    tell: Step,
  ): Promise<void> {
    const { clock, home, files } = this.world
    const { directory, profile, proof } = settings
    const offered = await client.look()
    if (offered.needsBinding && client.accountUrl === undefined && settings.binding === undefined)
      throw new AcmeFailure('refused', `${directory} is for its customers alone: write control/acmebinding`)
    if (profile !== undefined && !offered.profiles.includes(profile))
      throw new AcmeFailure(
        'refused',
        `control/acmeprofile: ${directory} offers ${offered.profiles.join(', ') || 'no profiles'}, not ${profile}`,
      )
    const { certificatePem, names } = request
    if (proof.type === 'http-01')
      for (const name of names)
        if (await this.world.isNowhere(name))
          throw new AcmeFailure(
            'away',
            `${name} has no address in the DNS: publish one, or take it out of control/acmenames`,
          )
    const isSuccessor = before.issued?.directory === directory && offered.renewalInfo !== undefined
    const replaces =
      certificatePem !== undefined && isSuccessor ? renewalIdOf(new X509Certificate(certificatePem).raw) : undefined
    const wanted = { names, profile, replaces }
    const world = { client, proof, clock, tell }
    const chain = await this.withAccount(client, settings, () => obtainChain(wanted, request.request, world))
    await keepIssued(files, home, chain)
    const timesMs = [...(before.issued?.directory === directory ? before.issued.timesMs : []), clock.now()]
    await this.keep({
      ...(await this.state()),
      issued: { directory, timesMs: timesMs.slice(-timesKept), caaNames: offered.caaNames },
    })
    await this.install(chain)
    const { failure: _over, renewal: _old, ...state } = await this.state()
    await this.keep(state)
  }

  /** Makes an account where there is none, and once more where the authority has forgotten the one that there was. */
  private async withAccount<Result>(
    client: AcmeClient,
    settings: AcmeSettings,
    act: () => Promise<Result>,
  ): Promise<Result> {
    const register = async (): Promise<void> => {
      const url = await client.register(settings.contact, settings.binding)
      this.world.log(`account at the authority: ${url}`)
      await this.keep({ ...(await this.state()), account: { directory: settings.directory, url } })
    }
    if (client.accountUrl === undefined) await register()
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof AcmeFailure) || error.type !== 'accountDoesNotExist') throw error
      await register()
      return await act()
    }
  }

  /** What start refuses is kept where it was got, and tried again. */
  private async install(chain: string): Promise<void> {
    const { certificates, home, files } = this.world
    const answer = await certificates.install(chain)
    if (answer.kind === 'installed') return await forgetIssued(files, home)
    const why = answer.kind === 'refused' ? answer.why : 'start answers something else'
    // Of no use any more, or never: the next attempt gets another.
    if (why.startsWith('the chain is no good')) await forgetIssued(files, home)
    throw new Error(`what the authority gave is not installed: ${why}`)
  }

  private async client(state: AcmeState, { directory, roots }: AcmeSettings): Promise<AcmeClient> {
    const key = await accountKey(this.world.files, this.world.home)
    const { account } = state
    return new AcmeClient({ directory, key, roots }, account?.directory === directory ? account.url : undefined)
  }

  private failed(before: Failure | undefined, text: string, failure: AcmeFailure | undefined): Failure {
    const now = this.world.clock.now()
    const count = (before?.count ?? 0) + 1
    const delay = retryDelay(count, failure?.kind === 'away', this.dice())
    const againMs = now + Math.max(delay, failure?.retryAfterMs ?? 0)
    // Who was not there has not counted it.
    const times = failure?.kind === 'away' ? [] : [now]
    return { count, atMs: now, timesMs: [...(before?.timesMs ?? []), ...times].slice(-timesKept), text, againMs }
  }

  private dice(): number {
    return this.world.random.below(diceSides) / diceSides
  }

  private state(): Promise<AcmeState> {
    return readAcmeState(this.world.files, this.world.home)
  }

  private keep(state: AcmeState): Promise<void> {
    return writeAcmeState(this.world.files, this.world.home, state)
  }
}

interface Suggestion {
  readonly window: Period
  readonly askAgainMs: number
  readonly explanation: string
}

const afterStopMilliseconds = 60_000
const waitMillisecondsMax: number = 7 * 86_400_000

/** A moment that was noted before the clock was set back is not waited for. */
function soonest(noted: number, clock: Clock): number {
  return noted - clock.now() > waitMillisecondsMax ? 0 : noted
}

function digestOf(certificatePem: string): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex')
}
