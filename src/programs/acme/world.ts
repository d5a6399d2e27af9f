/** What acme works with: settings, files, clock, randomness, and its peers. */
import { AcmeClient } from '../../clients/acme/acme-client.ts'
import type { CertificateClient } from '../../clients/certificates/certificate-client.ts'
import type { AccountBinding } from '../../protocols/acme/objects.ts'
import { accountKey } from '../../stores/acme/account-key.ts'
import type { AcmeState } from '../../stores/acme/acme-state.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Clock } from '../../system/clock.ts'
import type { Files } from '../../system/files.ts'
import type { Random } from '../../system/random.ts'
import type { Proof } from './proofs.ts'

/** Settings from control/. */
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
  /** The DNS has no address for this name: an attempt would count as a failure at the authority. */
  isNowhere(name: string): Promise<boolean>
  /** By the DNS, all addresses of the name are addresses of the other. */
  leadsWhere(name: string, other: string): Promise<boolean>
  log(line: string): void
  /** Throws with a text for the administrator. */
  settings(): Promise<AcmeSettings>
}

const diceSides = 1_000_000

/** From 0 to 1. */
export function dice(random: Random): number {
  return random.below(diceSides) / diceSides
}

/** Uses the account of `state`, if that is one of this authority's. */
export async function clientFor(
  { files, home }: RenewerWorld,
  { account }: AcmeState,
  { directory, roots }: AcmeSettings,
): Promise<AcmeClient> {
  const key = await accountKey(files, home)
  return new AcmeClient({ directory, key, roots }, account?.directory === directory ? account.url : undefined)
}
