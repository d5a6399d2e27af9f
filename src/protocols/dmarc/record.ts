/** A DMARC record (RFC 9989 §4.7): what the owner of a domain asks of receivers of mail in its name. */
import type { ByteString } from '../../base/byte-string.ts'

export const policies = ['none', 'quarantine', 'reject'] as const
export type Policy = (typeof policies)[number]

export interface DmarcRecord {
  /** As it stands in the DNS; for a person. */
  readonly text: ByteString
  /** Undefined: the record is there and says nothing that could be followed. */
  readonly policy: Policy | undefined
  readonly subdomains: Policy | undefined
  /** For names that do not exist. */
  readonly absent: Policy | undefined
  readonly isDkimStrict: boolean
  readonly isSpfStrict: boolean
  /** psd=y: names below it belong to different organizations. psd=n: the name is an organization's. */
  readonly isSuffix: boolean | undefined
  /** t=y: the owner is testing, and wants the next milder treatment. */
  readonly isTest: boolean
  /** rua: where aggregate reports are wanted, as URIs separated by commas; empty: nowhere. */
  readonly reportsTo: ByteString
}

const recordBytesMax = 8192
const tagsMax = 50

/** Of the TXT records of a name. Undefined: there is none, or there are several, which count as none (§4.10). */
export function recordAmong(texts: readonly ByteString[]): DmarcRecord | undefined {
  const records = texts.map(readRecord).filter((record) => record !== undefined)
  return records.length === 1 ? records[0] : undefined
}

/** Undefined if the text is no DMARC record at all: other things may stand at the name. */
function readRecord(text: ByteString): DmarcRecord | undefined {
  const tags = tagsOf(text.slice(0, recordBytesMax))
  if (tags === undefined) return undefined
  const flag = (name: string): string => (tags.get(name) ?? '').toLowerCase()
  const [policy, subdomains, absent] = ['p', 'sp', 'np'].map((name) => policyOf(tags.get(name)))
  const isSpoilt = policy === undefined || policy === 'bad' || subdomains === 'bad' || absent === 'bad'
  // §4.10.1: a record without a valid policy that asks for reports counts as p=none.
  const whole = isSpoilt
    ? {
        policy: hasReportAddress(tags.get('rua')) ? ('none' as const) : undefined,
        subdomains: undefined,
        absent: undefined,
      }
    : { policy, subdomains, absent }
  return {
    text,
    ...whole,
    isDkimStrict: flag('adkim') === 's',
    isSpfStrict: flag('aspf') === 's',
    isSuffix: flag('psd') === 'y' ? true : flag('psd') === 'n' ? false : undefined,
    isTest: flag('t') === 'y',
    reportsTo: tags.get('rua') ?? '',
  }
}

/** Names keep their case (RFC 6376 §3.2); what is no tag is passed over, and of two of a name the first counts. */
function tagsOf(text: ByteString): ReadonlyMap<ByteString, ByteString> | undefined {
  const [version = '', ...specs] = text.split(';', tagsMax)
  if (!/^[ \t]*v[ \t]*=[ \t]*DMARC1[ \t]*$/.test(version)) return undefined
  const tags = new Map<ByteString, ByteString>()
  for (const spec of specs) {
    const equals = spec.indexOf('=')
    const name = spec.slice(0, Math.max(equals, 0)).trim()
    if (equals > 0 && !tags.has(name)) tags.set(name, spec.slice(equals + 1).trim())
  }
  return tags
}

/** What a TXT record at `DOMAIN._report._dmarc.HOST` says (RFC 9990 §4). Undefined: it is none. */
export function reportsToOf(text: ByteString): ByteString | undefined {
  const tags = tagsOf(text.slice(0, recordBytesMax))
  return tags === undefined ? undefined : (tags.get('rua') ?? '')
}

function policyOf(value: ByteString | undefined): Policy | 'bad' | undefined {
  if (value === undefined) return undefined
  return policies.find((policy) => policy === value.toLowerCase()) ?? 'bad'
}

function hasReportAddress(rua: ByteString | undefined): boolean {
  return (rua ?? '').split(',').some((uri) => /^(?:mailto:[^@\s]+@[^@\s]+|https:\/\/[^\s/]+\S*)$/i.test(uri.trim()))
}
