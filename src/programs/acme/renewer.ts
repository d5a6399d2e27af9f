/** Gets the certificate of HOME/tls from an authority, and renews it in time (docs/programs/acme.md has the states).
 *  Knows:  when the authority may be asked again, also after a restart (HOME/acme/state.json).
 *  Never:  makes two attempts at once, or one whose failure could not be remembered.
 *  Fails:  a failed attempt is reported and repeated later; the present certificate stays in force. */
import { X509Certificate } from 'node:crypto'
import { describeError } from '../../base/outcome.ts'
import { type AcmeClient, AcmeFailure } from '../../clients/acme/acme-client.ts'
import type { CertificateRequest } from '../../contracts/certificates.ts'
import type { Trouble } from '../../contracts/troubles.ts'
import { renewalIdOf, retryDelay } from '../../protocols/acme/renewal.ts'
import { type AcmeState, type Failure, readAcmeState, writeAcmeState } from '../../stores/acme/acme-state.ts'
import { forgetIssued, keepIssued, readIssued } from '../../stores/acme/issued-chain.ts'
import { DueDates, soonest } from './due-dates.ts'
import {
  failuresInAnHourMax,
  failuresWithinMilliseconds,
  issuedInAWeekMax,
  issuedWithinMilliseconds,
} from './limits.ts'
import { obtainChain } from './order.ts'
import { type AcmeSettings, clientFor, dice, type RenewerWorld } from './world.ts'

export type Step = (text: string) => void

const timesKept = 10

export class Renewer {
  private readonly world: RenewerWorld
  private readonly due: DueDates
  private running: Promise<string | undefined> | undefined
  /** Whether the present or last run made an attempt. */
  private attempted = false
  private stopped = false
  private fault: string | undefined
  /** The state before the present attempt. */
  private before: AcmeState | undefined

  constructor(world: RenewerWorld) {
    this.world = world
    this.due = new DueDates(world)
  }

  /** An attempt that is interrupted does not count as failed, nor begin again at once. */
  async stop(): Promise<void> {
    const { before } = this
    this.stopped = true
    if (before === undefined) return
    const text = 'the last attempt was cut off by a stop'
    const { count = 0, timesMs = [] } = before.failure ?? {}
    const atMs = this.world.clock.now()
    const failure = { count, atMs, timesMs, text, againMs: atMs + afterStopMilliseconds }
    await this.keep({ ...(await this.state()), failure })
  }

  /** Does what is due; a call during a run waits for that run. Never rejects. */
  async look(): Promise<void> {
    await (this.running ?? this.run(async () => await this.renewIfDue()))
  }

  /** Renews even if nothing is due. Undefined: a new certificate is installed; else why not. */
  async renew(step: Step): Promise<string | undefined> {
    while (this.running !== undefined) {
      const fault = await this.running
      // An attempt that was already running serves the request; a mere check does not.
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
    const reason = await this.due.reason(state, settings, request, !waits)
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

  /** Leaves out optional names that do not lead here: one failing name fails the whole order. */
  private async asked(): Promise<CertificateRequest> {
    const { world } = this
    const whole = await this.ask([])
    const [own = ''] = whole.names
    const without: string[] = []
    for (const name of whole.optional) if (!(await world.leadsWhere(name, own))) without.push(name)
    return without.length === 0 ? whole : await this.ask(without)
  }

  private async ask(without: readonly string[]): Promise<CertificateRequest> {
    const answer = await this.world.certificates.ask(without)
    if (answer.kind === 'request') return answer
    throw new Error(answer.kind === 'refused' ? answer.why : 'start answers something else')
  }

  /** Recorded as failed until it is done: after a crash in the middle it must not begin again at once. */
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
      const client = await clientFor(this.world, state, settings)
      await this.order(client, state, settings, request, tell)
    } catch (error) {
      const text = describeError(error)
      const failure = this.failed(state.failure, text, error instanceof AcmeFailure ? error : undefined)
      if (!this.stopped) await this.keep({ ...(await this.state()), failure })
      throw new Error(text, { cause: error })
    } finally {
      this.before = undefined
    }
    tell(`the certificate for ${request.names.join(', ')} is installed`)
    // Records when the next one is due.
    await this.due.reason(await this.state(), settings, await this.asked(), true)
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

  /** Makes an account if there is none, and once more if the authority no longer knows it. */
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

  /** A chain that start refuses stays in HOME/acme, and is offered again. */
  private async install(chain: string): Promise<void> {
    const { certificates, home, files } = this.world
    const answer = await certificates.install(chain)
    if (answer.kind === 'installed') return await forgetIssued(files, home)
    const why = answer.kind === 'refused' ? answer.why : 'start answers something else'
    // The chain is useless: the next attempt gets another.
    if (why.startsWith('the chain is no good')) await forgetIssued(files, home)
    throw new Error(`what the authority gave is not installed: ${why}`)
  }

  private failed(before: Failure | undefined, text: string, failure: AcmeFailure | undefined): Failure {
    const now = this.world.clock.now()
    const count = (before?.count ?? 0) + 1
    const delay = retryDelay(count, failure?.kind === 'away', dice(this.world.random))
    const againMs = now + Math.max(delay, failure?.retryAfterMs ?? 0)
    // An authority that could not be reached has not counted the attempt.
    const times = failure?.kind === 'away' ? [] : [now]
    return { count, atMs: now, timesMs: [...(before?.timesMs ?? []), ...times].slice(-timesKept), text, againMs }
  }

  private state(): Promise<AcmeState> {
    return readAcmeState(this.world.files, this.world.home)
  }

  private keep(state: AcmeState): Promise<void> {
    return writeAcmeState(this.world.files, this.world.home, state)
  }
}

const afterStopMilliseconds = 60_000
