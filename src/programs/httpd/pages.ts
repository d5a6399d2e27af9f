/** The pages of httpd: challenges for an authority (RFC 8555 §8.3), and policies of MTA-STS (RFC 8461 §3.3). */
import { fromText } from '../../base/byte-string.ts'
import { isToken } from '../../protocols/acme/objects.ts'
import { policyHost, policyPath, policyText, readPublishedPolicy } from '../../protocols/mta-sts/published-policy.ts'
import { probe } from '../../stores/acme/challenge-files.ts'
import type { Log } from '../../system/log.ts'
import type { FindPage } from './page-server.ts'

const challengePath = '/.well-known/acme-challenge/'

/** `read`: undefined if there is no such challenge. */
export function challengePages(read: (token: string) => Promise<Buffer | undefined>, log: Log): FindPage {
  return async (_host, path, client) => {
    const token = path.startsWith(challengePath) ? path.slice(challengePath.length) : ''
    const body = isToken(token) ? await read(token) : undefined
    if (body === undefined) return undefined
    if (token !== probe.token) log(`challenge ${token} shown to ${client}`)
    return { body, type: 'application/octet-stream' }
  }
}

/** `lines`: of control/mtasts. `host`: this one. */
export function policyPages(lines: () => ReadonlyMap<string, string> | undefined, host: string): FindPage {
  return async (asked, path) => {
    if (path !== policyPath) return undefined
    const prefix = policyHost('')
    const line = asked.startsWith(prefix) ? lines()?.get(fromText(asked.slice(prefix.length))) : undefined
    const policy = line === undefined ? undefined : readPublishedPolicy(line)
    // An invalid line publishes nothing: senders keep the policy they have.
    return policy === undefined ? undefined : { body: policyText(policy, host), type: 'text/plain' }
  }
}
