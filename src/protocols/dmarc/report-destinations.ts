/** Where an aggregate report goes (RFC 9990 §3.5, §4): to the addresses that the record names, if their hosts say that they
 *  want reports about another's domain.
 *  Asks:   for texts of names, by `yield`. */
import type { ByteString } from '../../base/byte-string.ts'
import { domainOf, isPlainAddress } from '../reports/plain-address.ts'
import { reportsToOf } from './record.ts'
import { type Asking, walkFrom } from './tree-walk.ts'

/** More get no mail: a record could name many victims. */
const addressesMax = 5

/** Of a list of URIs: those by mail, each once. What is no address that a report can go to is passed over. */
export function mailAddresses(uris: ByteString): readonly ByteString[] {
  const addresses = uris.split(',').flatMap((uri) => {
    // `!10m`, a size, is of RFC 7489.
    const encoded = /^mailto:([^?!]*)/i.exec(uri.trim())?.[1] ?? ''
    const address = decoded(encoded)
    return address !== undefined && isPlainAddress(address) ? [address] : []
  })
  return [...new Set(addresses)].slice(0, addressesMax)
}

function decoded(text: ByteString): ByteString | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

export type Destination =
  /** `addresses`: those that the host names instead of the one asked for, or that one. */
  | { readonly kind: 'wanted'; readonly addresses: readonly ByteString[] }
  | { readonly kind: 'unwanted'; readonly why: string }
  /** Unknown for now. */
  | { readonly kind: 'trouble'; readonly why: string }

/** `domain`: where the record stands. */
export function* destination(domain: string, address: ByteString): Asking<Destination> {
  const wanted: Destination = { kind: 'wanted', addresses: [address] }
  const host = domainOf(address)
  if (host === domain) return wanted
  const name = `${domain}._report._dmarc.${host}`
  const [own, theirs] = [yield* walkFrom(domain), yield* walkFrom(host)]
  const trouble = own.trouble ?? theirs.trouble
  if (trouble !== undefined) return { kind: 'trouble', why: trouble }
  if (own.organization === theirs.organization) return wanted
  const answer = yield name
  if (answer.kind === 'trouble') return { kind: 'trouble', why: `${name}: ${answer.why}` }
  const found = answer.kind === 'found' ? answer.texts.map(reportsToOf).find((text) => text !== undefined) : undefined
  if (found === undefined) return { kind: 'unwanted', why: `${host} does not say that it wants reports (TXT ${name})` }
  if (found === '') return wanted
  const addresses = mailAddresses(found)
  const isElsewhere = addresses.some((one) => domainOf(one) !== host)
  if (addresses.length > 0 && !isElsewhere) return { kind: 'wanted', addresses }
  return { kind: 'unwanted', why: `${name} names addresses at another host` }
}
