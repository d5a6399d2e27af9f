/** One order from its beginning to the chain (RFC 8555 §7.4): authorizations, challenges, the request, the certificate.
 *  Knows:  the sequence of requests, and how long to wait for an authority. Never: when one is due, or where the chain goes.
 *  Fails:  rejects with AcmeFailure, or with the error of a proof. */
import { AcmeFailure, type AcmeClient, type Asked, type NewOrder } from '../../clients/acme/acme-client.ts'
import { describeError } from '../../base/outcome.ts'
import type { Authorization, Challenge, Order, Progress } from '../../protocols/acme/objects.ts'
import type { Clock } from '../../system/clock.ts'
import { answerMillisecondsMax, pollMillisecondsMax, pollMillisecondsMin } from './limits.ts'
import type { Proof } from './proofs.ts'

export interface OrderWorld {
  readonly client: AcmeClient
  readonly proof: Proof
  readonly clock: Clock
  /** Reports a step to the requesting command and to the log. */
  readonly tell: (step: string) => void
}

interface Shown {
  readonly name: string
  readonly token: string
  readonly keyAuthorization: string
}

export async function obtainChain(wanted: NewOrder, request: Buffer, world: OrderWorld): Promise<string> {
  const { client, tell } = world
  const { url, ...order } = await placeOrder(wanted, client)
  tell(`ordered: ${url}`)
  const shown: Shown[] = []
  try {
    for (const one of order.authorizations) await prove(one, shown, world)
    const { status } = await settled(() => client.orderAt(url), ['ready', 'valid'], world)
    if (status === 'ready') await client.finalize(order.finalize, request)
    tell('proven; the authority makes the certificate')
    const { certificate } = await settled(() => client.orderAt(url), ['valid'], world)
    if (certificate === undefined) throw new AcmeFailure('away', `${url} is valid, and names no certificate`)
    return await client.certificate(certificate)
  } finally {
    for (const { name, token, keyAuthorization } of shown)
      await world.proof
        .clear(name, token, keyAuthorization)
        .catch((error: unknown) => tell(`warning: ${describeError(error)}`))
  }
}

/** Some authorities reject a second `replaces` for one certificate (RFC 9773 §5): the order is repeated without it. */
async function placeOrder(wanted: NewOrder, client: AcmeClient): ReturnType<AcmeClient['order']> {
  try {
    return await client.order(wanted)
  } catch (error) {
    if (wanted.replaces === undefined || !(error instanceof AcmeFailure) || error.type !== 'alreadyReplaced')
      throw error
    return await client.order({ ...wanted, replaces: undefined })
  }
}

async function prove(url: string, shown: Shown[], world: OrderWorld): Promise<void> {
  const { client, proof, tell } = world
  const { value: authorization } = await client.authorization(url)
  // Proven a short time before.
  if (authorization.status === 'valid') return
  const { name, challenges } = authorization
  const challenge = challenges.find(({ type }) => type === proof.type)
  if (challenge === undefined) {
    const offered = challenges.map(({ type }) => type).join(', ')
    throw new AcmeFailure('refused', `${name}: the authority offers ${offered || 'nothing'}, not ${proof.type}`)
  }
  const keyAuthorization = await client.keyAuthorization(challenge.token)
  shown.push({ name, token: challenge.token, keyAuthorization })
  await proof.present(name, challenge.token, keyAuthorization)
  tell(`${name}: the authority looks at the challenge (${proof.type})`)
  await client.meet(challenge.url)
  await settled(() => client.authorization(url), ['valid'], world)
}

/** Polls until the status is a wanted one. */
async function settled<Value extends Order | Authorization>(
  ask: () => Promise<Asked<Value>>,
  wanted: readonly Progress[],
  { clock }: OrderWorld,
): Promise<Value> {
  const deadline = clock.monotonic() + answerMillisecondsMax
  for (let pause = pollMillisecondsMin; ; pause *= 1.5) {
    const { value, retryAfterMs } = await ask()
    if (wanted.includes(value.status)) return value
    if (value.status === 'invalid') throw new AcmeFailure('refused', whyInvalid(value))
    if (clock.monotonic() > deadline)
      throw new AcmeFailure('away', `the authority has not made up its mind in ${answerMillisecondsMax / 1000} s`)
    await passed(Math.min(pollMillisecondsMax, Math.max(pollMillisecondsMin, retryAfterMs ?? pause)), clock)
  }
}

function whyInvalid(value: Order | Authorization): string {
  if ('finalize' in value)
    return value.problem === undefined ? 'the order is invalid' : `${value.problem.text} (${value.problem.type})`
  const problem = value.challenges.map((one: Challenge) => one.problem).find((one) => one !== undefined)
  return `${value.name}: ${problem === undefined ? 'the challenge was not met' : `${problem.text} (${problem.type})`}`
}

async function passed(milliseconds: number, clock: Clock): Promise<void> {
  await new Promise<void>((resolve) => void clock.after(milliseconds, resolve))
}
