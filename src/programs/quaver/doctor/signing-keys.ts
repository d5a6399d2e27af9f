/** Faults of the signing keys (DKIM): whether receivers can verify with the DNS records, and the age of each key.
 *  Fails:  nothing throws; keys that cannot be read are a finding. */
import { statSync } from 'node:fs'
import { describeError } from '../../../base/outcome.ts'
import type { RecordDns } from '../../../clients/dns/dns.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { keyPath } from '../../../stores/signing-keys/signing-keys.ts'
import { realClock } from '../../../system/clock.ts'
import { shownKeys } from '../dkim.ts'
import { type CheckedKey, checkKey } from '../dkim-key.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'

const dayMilliseconds: number = 24 * 3_600_000
/** A leaked key can be abused until it is replaced. */
const ageDaysGood = 365

/** Without `dns`, the records are not checked. */
export async function signingKeyFindings(home: Home, dns: RecordDns | undefined): Promise<MachineFinding[]> {
  try {
    const keys = (await shownKeys(home)).filter(({ signs }) => signs)
    const checked = dns === undefined ? [] : await Promise.all(keys.map((key) => checkKey(home, key, dns)))
    const old = keys.flatMap(({ domain, selector }) => {
      const { mtimeMs } = statSync(keyPath(home, { domain, selector }))
      return ageFindings(domain, selector, Math.floor((realClock.now() - mtimeMs) / dayMilliseconds))
    })
    return [...checked.flatMap(checkFindings), ...old]
  } catch (error) {
    return [finding('error', 'dkim', describeError(error), 'ask as root')]
  }
}

function checkFindings({ domain, selector, cause, why }: CheckedKey): MachineFinding[] {
  // Without a record receivers see unsigned mail; with a wrong one they see a forgery.
  if (cause === 'absent') return [finding('warning', 'dkim', `${domain}: ${why}`, `quaver dns ${domain}`)]
  // A DNS failure is no finding.
  if (cause === '' || cause === 'unanswered') return []
  const remedy = cause === 'key' ? `quaver dkim keygen ${domain}` : `publish what 'quaver dkim show ${domain}' prints`
  return [finding('error', 'dkim', `${domain} ${selector}: ${why}`, remedy)]
}

function ageFindings(domain: string, selector: string, days: number): MachineFinding[] {
  if (days < ageDaysGood) return []
  return [
    finding('note', 'dkim', `the key ${selector} of ${domain} is ${days} days old`, `quaver dkim rotate ${domain}`),
  ]
}
