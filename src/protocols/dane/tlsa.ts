/** TLSA records (RFC 6698 §2, RFC 7671) as mail servers use them (RFC 7672 §3.1): what a record says, and whether it can be
 *  used. */

export interface TlsaRecord {
  /** 2: an authority in the chain. 3: the server's own certificate. 0 and 1 mean nothing for mail. */
  readonly usage: number
  /** 0: the whole certificate. 1: its public key (SubjectPublicKeyInfo). */
  readonly selector: number
  /** 0: the bytes themselves. 1: their SHA-256. 2: their SHA-512. */
  readonly matching: number
  readonly data: Uint8Array
}

export interface UsableTlsa extends TlsaRecord {
  readonly usage: 2 | 3
  readonly selector: 0 | 1
  readonly matching: 0 | 1 | 2
}

const digestBytes: Readonly<Record<number, number>> = { 1: 32, 2: 64 }

export function usableAmong(records: readonly TlsaRecord[]): UsableTlsa[] {
  return records.filter(isUsable)
}

function isUsable(record: TlsaRecord): record is UsableTlsa {
  const { usage, selector, matching, data } = record
  if ((usage !== 2 && usage !== 3) || selector > 1 || matching > 2) return false
  return matching === 0 ? data.length > 0 : data.length === digestBytes[matching]
}

/** As it stands in a zone: `3 1 1 9f86d0…`. */
export function formatTlsa({ usage, selector, matching, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matching} ${hex(data)}`
}

/** Where the records of a server stand. */
export function tlsaName(port: number, host: string): string {
  return `_${port}._tcp.${host}`
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
