/** DNS records that let other servers demand TLS of our exchanger. Each is right only under a condition, so each is offered as
 *  optional.
 *  Never:  asks DNS, or serves the policy. */
import { formatTlsa, tlsaName, type TlsaRecord } from '../../../protocols/dane/tlsa.ts'
import { formatPolicy } from '../../../protocols/mta-sts/policy.ts'
import { smtpPort } from '../../../protocols/qmail/smtproutes.ts'
import { namedTlsDirectories, readNamedTls, readTls } from '../../../stores/home/tls-files.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { publicKeyDigest } from '../../../system/keys.ts'
import { type DnsRecord, policyRecord } from '../dns-records.ts'

/** Short, for trying it: a mistake stays in force this long. */
const maxAgeSeconds = 86_400

/** Of the host's certificate on port 25. Undefined: it has none that can be read. */
export async function hostTlsa(home: Home, host: string): Promise<DnsRecord | undefined> {
  const certificatePem = await certificateOf(home, host)
  if (certificatePem === undefined) return undefined
  const record: TlsaRecord = { usage: 3, selector: 1, matching: 1, data: publicKeyDigest(certificatePem) }
  return {
    name: tlsaName(smtpPort, host),
    type: 'TLSA',
    value: formatTlsa(record),
    isOptional: true,
    note: 'DANE, if this zone is signed (DNSSEC). A new key needs its record here for a day before it is used; a new certificate of the same key needs none',
  }
}

/** The MTA-STS record of a domain without a line in control/mtasts. */
export function offeredPolicy(domain: string, host: string): DnsRecord {
  const policy = formatPolicy({ mode: 'testing', maxAgeSeconds, mx: [host] })
  const served = policy.trimEnd().replaceAll('\r\n', ' / ')
  return {
    ...policyRecord(domain, policy),
    isOptional: true,
    note: `MTA-STS, once https://mta-sts.${domain}/.well-known/mta-sts.txt has these lines, each by itself (control/mtasts has Quaver serve them): ${served}`,
  }
}

/** The address for other servers' TLS reports (TLSRPT, RFC 8460). */
export function tlsReports(domain: string): DnsRecord {
  return {
    name: `_smtp._tls.${domain}`,
    type: 'TXT',
    value: `"v=TLSRPTv1; rua=mailto:postmaster@${domain}"`,
    isOptional: true,
    note: 'TLS reports, a mail a day from each large sender, if somebody reads them',
  }
}

/** As `start` hands them out: a directory whose certificate names the host, else the default. */
async function certificateOf(home: Home, host: string): Promise<string | undefined> {
  for (const directory of await namedTlsDirectories(home.tls).catch(() => [])) {
    const named = await readNamedTls(directory)
    if (named.kind === 'pair' && named.pair.names.includes(host)) return named.pair.certificatePem
  }
  const state = await readTls(home.tls)
  return state.kind === 'pair' ? state.pair.certificatePem : undefined
}
