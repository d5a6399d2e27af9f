/** Faults of the MTA-STS policies that we publish, as senders see them, by DNS and HTTPS.
 *  Fails:  nothing throws; a temporary failure is no finding. */
import { toText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import type { RecordDns } from '../../../clients/dns/dns.ts'
import { exchange } from '../../../clients/https/exchange.ts'
import { policyHost, policyPath, policyText, readPublishedPolicy } from '../../../protocols/mta-sts/published-policy.ts'
import { Control } from '../../../stores/control/control.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { realClock } from '../../../system/clock.ts'
import { policyRecords } from '../dns-records.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'
import { hostName } from '../mail-services.ts'

const limits = { bytesMax: 64 * 1024, millisecondsMax: 10_000 }

export type Fetch = (url: string) => Promise<{ readonly status: number; readonly body: Buffer }>

export async function policyFindings(
  home: Home,
  dns: RecordDns,
  fetch: Fetch = (url) => exchange(url, {}, limits),
): Promise<MachineFinding[]> {
  const lines = new Control(home.control, realClock).map('mtasts') ?? new Map<string, string>()
  const found = await Promise.all(
    [...lines].map(async ([domain, line]) => {
      const policy = readPublishedPolicy(toText(line))
      // `control check` names the line.
      if (policy === undefined) return []
      const host = hostName(home)
      const text = policyText(policy, host)
      return [
        ...(await recordFindings(toText(domain), host, text, dns)),
        ...(await fileFindings(toText(domain), text, fetch)),
      ]
    }),
  )
  return found.flat()
}

async function recordFindings(domain: string, host: string, text: string, dns: RecordDns): Promise<MachineFinding[]> {
  const [wanted] = policyRecords(domain, host, text)
  const answer = await dns.txt(`_mta-sts.${domain}`)
  if (wanted === undefined || answer.kind === 'soft') return []
  const records = answer.kind === 'found' ? answer.values.filter((one) => one.startsWith('v=STSv1')) : []
  // Two records count as none (RFC 8461 §3.1).
  if (records.length === 1 && `"${records[0]}"` === wanted.value) return []
  const has = records.length === 0 ? 'has no record of its policy' : `says ${records.join(' and ')}`
  const what = `_mta-sts.${domain} ${has}: senders do not see the policy, or not that it is new`
  return [finding('warning', 'mta-sts', what, `publish what 'quaver dns ${domain}' prints`)]
}

async function fileFindings(domain: string, text: string, fetch: Fetch): Promise<MachineFinding[]> {
  const url = `https://${policyHost(domain)}${policyPath}`
  const remedy = `have ${policyHost(domain)} and port 443 of it lead here (control/listen-https); 'quaver tls status' says whether the certificate has that name`
  try {
    const { status, body } = await fetch(url)
    if (status === 200 && body.toString('utf8') === text) return []
    const what = status === 200 ? 'is another policy than that of control/mtasts' : `answers with status ${status}`
    return [finding('warning', 'mta-sts', `${url} ${what}`, remedy)]
  } catch (error) {
    return [finding('warning', 'mta-sts', describeError(error), remedy)]
  }
}
