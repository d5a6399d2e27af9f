/** A DKIM key as `quaver dkim` and `quaver dns` show it, and whether receivers can verify its signatures. */
import type { KeyObject } from 'node:crypto'
import { toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import type { RecordDns } from '../../clients/dns/dns.ts'
import { RunningBodyDigest } from '../../clients/policy/body-digests.ts'
import type { Canonicalization } from '../../protocols/dkim/canonical-body.ts'
import { keyNameInDns, keyText, zoneStrings } from '../../protocols/dkim/key-text.ts'
import { oversignedFields, signatureField } from '../../protocols/dkim/sign.ts'
import { type BodyDigest, type KeyAnswer, verifySignatures } from '../../protocols/dkim/verify.ts'
import type { Home } from '../../stores/home/layout.ts'
import { type KeyName, readKey } from '../../stores/signing-keys/signing-keys.ts'
import { checkSignature, kindOf, makeSignature, publicBytes } from '../../system/signatures.ts'

export interface ShownKey {
  readonly domain: string
  readonly selector: string
  readonly kind: 'rsa' | 'ed25519'
  /** control/dkimdomains names it. */
  readonly signs: boolean
  /** Of the record, without the dot at its end. */
  readonly name: string
  /** What a resolver says; empty if the key cannot be read. */
  readonly record: string
  /** A line of a zone file. */
  readonly zone: string
  readonly fault?: string
}

export interface CheckedKey extends ShownKey {
  readonly verdict: 'pass' | 'fail'
  /** The cause of a fail: our own file, no DNS answer, no record, or the record of another key. */
  readonly cause: 'key' | 'unanswered' | 'absent' | 'record' | ''
  readonly why: string
}

export function describeKey(home: Home, name: KeyName, signing: ReadonlySet<string>): ShownKey {
  const [domain, selector] = [toText(name.domain), toText(name.selector)]
  const dnsName = keyNameInDns(domain, selector)
  const common = { domain, selector, signs: signing.has(selector), name: dnsName }
  try {
    const key = readKey(home, name)
    if (key === undefined) throw new Error('there is no such key')
    const record = keyText(kindOf(key), publicBytes(key))
    return { ...common, kind: kindOf(key), record, zone: `${dnsName}. 3600 IN TXT ${zoneStrings(record)}` }
  } catch (error) {
    return { ...common, kind: 'rsa', record: '', zone: '', fault: describeError(error) }
  }
}

/** Signs a message and verifies it with the DNS record, as a receiver does. */
export async function checkKey(home: Home, shown: ShownKey, dns: RecordDns): Promise<CheckedKey> {
  const fail = (cause: CheckedKey['cause'], why: string): CheckedKey => ({ ...shown, verdict: 'fail', cause, why })
  if (shown.fault !== undefined) return fail('key', shown.fault)
  const key = readKey(home, shown)
  if (key === undefined) return fail('key', 'there is no such key')
  const answer = await dns.txt(shown.name)
  if (answer.kind === 'soft') return fail('unanswered', `the DNS does not answer for ${shown.name}: ${answer.why}`)
  if (answer.kind !== 'found')
    return fail('absent', `${shown.name} has no TXT record: publish what 'quaver dkim show' prints`)
  const keys: KeyAnswer = { kind: 'found', texts: answer.values }
  const now = Math.floor(Date.now() / 1000)
  const message = testMessage(shown, key, now)
  const { signatures } = await verifySignatures(message.header, message.bodies, {
    keys: () => Promise.resolve(keys),
    check: checkSignature,
    now,
  })
  const [verdict] = signatures
  if (verdict?.result === 'pass') return { ...shown, verdict: 'pass', cause: '', why: '' }
  return fail(
    'record',
    `a receiver would say ${verdict?.result ?? 'nothing'}: ${verdict?.reason ?? ''}; the DNS has: ${toText(answer.values[0] ?? '')}`,
  )
}

function testMessage(shown: ShownKey, key: KeyObject, now: number) {
  const plain = `From: postmaster@${shown.domain}\nSubject: a test\n`
  const digest = (kind: Canonicalization): BodyDigest => {
    const running = new RunningBodyDigest(kind)
    running.push('A test.\n')
    return running.finish()
  }
  const bodies = { simple: digest('simple'), relaxed: digest('relaxed') }
  const algorithm = shown.kind === 'rsa' ? 'rsa-sha256' : 'ed25519-sha256'
  const signing = { ...shown, algorithm, sign: (text: string) => makeSignature(key, text) } as const
  const facts = { bodySha256: bodies.relaxed.sha256, now, validFor: undefined, oversigned: oversignedFields }
  return { header: `${signatureField(plain, signing, facts) ?? ''}${plain}`, bodies }
}
