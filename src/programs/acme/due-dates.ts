/** Whether a renewal is due, and when: a random moment, chosen once for each certificate, and again if the authority moves its
 *  window.
 *  Never:  orders a certificate.
 *  Fails:  an authority that cannot be reached is asked later. */
import { createHash, X509Certificate } from 'node:crypto'
import { describeError } from '../../base/outcome.ts'
import type { CertificateRequest } from '../../contracts/certificates.ts'
import { type Period, renewalIdOf, renewalMoment, windowAskedAgain } from '../../protocols/acme/renewal.ts'
import { type AcmeState, type Renewal, writeAcmeState } from '../../stores/acme/acme-state.ts'
import type { Clock } from '../../system/clock.ts'
import { coversHost, validityOf } from '../../system/keys.ts'
import { type AcmeSettings, clientFor, dice, type RenewerWorld } from './world.ts'

export class DueDates {
  private readonly world: RenewerWorld

  constructor(world: RenewerWorld) {
    this.world = world
  }

  /** Why a certificate is due now; undefined: none is. */
  async reason(
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

  /** The moment is chosen once for a certificate, and again if the authority has moved its window. */
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
    // If the authority cannot be asked again, its last suggestion stays in force.
    const renewal = suggested === 'unknown' ? known : this.drawn(certificate, validity, suggested, known)
    const result = renewal ?? {
      certificate,
      atMs: renewalMoment(validity, undefined, dice(this.world.random)),
      explanation: '',
    }
    const asked = suggested === 'unknown' ? { askAgainMs: clock.now() + windowAskedAgain(undefined) } : {}
    const kept = { ...result, ...asked }
    await writeAcmeState(this.world.files, this.world.home, { ...state, renewal: kept })
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
      return { certificate, atMs: renewalMoment(validity, undefined, dice(this.world.random)), explanation: '' }
    const { window, askAgainMs, explanation } = suggested
    const isInWindow = known !== undefined && known.atMs >= window.fromMs && known.atMs <= window.toMs
    const atMs = isInWindow ? known.atMs : renewalMoment(validity, window, dice(this.world.random))
    return { certificate, atMs, askAgainMs, explanation }
  }

  /** Undefined: the authority suggests nothing. `unknown`: it could not be asked, which does not count as a failed attempt. */
  private async suggested(
    state: AcmeState,
    settings: AcmeSettings,
    certificatePem: string,
  ): Promise<Suggestion | undefined | 'unknown'> {
    const id = renewalIdOf(new X509Certificate(certificatePem).raw)
    if (id === undefined) return undefined
    try {
      const asked = await (await clientFor(this.world, state, settings)).renewalInfo(id)
      if (asked === undefined) return undefined
      const askAgainMs = this.world.clock.now() + windowAskedAgain(asked.retryAfterMs)
      return { window: asked.value, askAgainMs, explanation: asked.value.explanation }
    } catch (error) {
      this.world.log(`warning: when to renew could not be asked: ${describeError(error)}`)
      return 'unknown'
    }
  }
}

interface Suggestion {
  readonly window: Period
  readonly askAgainMs: number
  readonly explanation: string
}

const waitMillisecondsMax: number = 7 * 86_400_000

/** Does not wait for a moment that was noted before the clock was set back. */
export function soonest(noted: number, clock: Clock): number {
  return noted - clock.now() > waitMillisecondsMax ? 0 : noted
}

function digestOf(certificatePem: string): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex')
}
