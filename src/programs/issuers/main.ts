/** issuers: fetches the public keys of the OAuth issuers in control/oauthissuers, so that authd needs no network.
 *  Touches: control/oauthissuers (reads), HOME/issuers/keys.json (writes), the network (HTTPS).
 *  Never:   sees a token or a password.
 *  Fails:   if keys cannot be fetched, the old ones stay, with one alert per outage. */
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { toText } from '../../base/byte-string.ts'
import { getJson } from '../../clients/https/get.ts'
import {
  discoveryUrl,
  issuerForm,
  keysUrl,
  parseIssuer,
  type PublicKey,
  readKeys,
} from '../../protocols/oauth/issuers.ts'
import { Control } from '../../stores/control/control.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { type IssuerKeys, readIssuerKeys, writeIssuerKeys } from '../../stores/issuer-keys/issuer-keys.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { openLog } from '../../system/log.ts'
import { supervised } from '../../system/supervised.ts'

const limits = { bytesMax: 256 * 1024, millisecondsMax: 10_000 }
/** Issuers publish a key well before they use it. */
const againMilliseconds = 10 * 60_000
const retryMilliseconds = 60_000
const issuersMax = 16

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string' }, demo: { type: 'boolean' } },
})
const log = openLog('issuers')
const home = homeAt(values.home ?? '.')
const clock = realClock
process.umask(0o022)
// An in-house issuer often has a certificate of an in-house authority, which the machine's store has.
setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system')])])

const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const troubles = new Map<string, string>()
const program = supervised(log, { stop: () => Promise.resolve(), reload: () => control.reload(['oauthissuers']) })
program.ready()
await fetchAll()

async function fetchAll(): Promise<void> {
  control.refresh()
  const before = await readIssuerKeys(realFiles, home).catch(() => new Map<string, readonly PublicKey[]>())
  const keys = new Map<string, readonly PublicKey[]>()
  let failed = false
  for (const line of (control.list('oauthissuers') ?? []).slice(0, issuersMax)) {
    const issuer = parseIssuer(line)?.url
    if (issuer === undefined) {
      tell(line, `control/oauthissuers: '${toText(line)}' is not: ${issuerForm}`)
      continue
    }
    const found = await fetchKeys(issuer)
    if (found === undefined) failed = true
    const known = found ?? before.get(issuer)
    if (known !== undefined) keys.set(issuer, known)
  }
  await keep(before, keys)
  clock.after(failed ? retryMilliseconds : againMilliseconds, () => void fetchAll())
}

async function fetchKeys(issuer: string): Promise<PublicKey[] | undefined> {
  try {
    const url = keysUrl(await getJson(discoveryUrl(issuer), limits), issuer)
    if (url === undefined) throw new Error(`${discoveryUrl(issuer)} does not describe ${issuer}`)
    const keys = readKeys(await getJson(url, limits))
    if (keys === undefined || keys.length === 0) throw new Error(`${url} holds no public keys`)
    troubles.delete(issuer)
    return keys
  } catch (error) {
    tell(issuer, `${describeError(error)}; the keys that are known stay`)
    return undefined
  }
}

async function keep(before: IssuerKeys, keys: IssuerKeys): Promise<void> {
  if (JSON.stringify([...before]) === JSON.stringify([...keys])) return
  try {
    await writeIssuerKeys(realFiles, home, keys)
    for (const [issuer, set] of keys) log(`keys of ${issuer}: ${set.length}`)
  } catch (error) {
    tell('', `${home.issuers}: ${describeError(error)}: it must belong to the account that issuers runs as`)
  }
}

/** Logs a text only when it has changed. */
function tell(topic: string, text: string): void {
  if (troubles.get(topic) === text) return
  troubles.set(topic, text)
  log(`alert: ${text.replace(/[^ -~]/g, '?')}`)
}
