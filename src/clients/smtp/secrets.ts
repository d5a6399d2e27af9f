/** Passwords for smarthosts: lines `relay[:port] user password` of control/smarthostsecrets.
 *  Never:  shows a password; a malformed line is named by its number. */
import type { ByteString } from '../../base/byte-string.ts'
import { parseRelay, type Relay } from '../../protocols/qmail/smtproutes.ts'

export interface Login {
  readonly user: ByteString
  readonly password: ByteString
}

/** A line with the port wins over one without, which is for every port; otherwise the first line wins. */
export function findLogin(lines: readonly ByteString[], relay: Relay): Login | undefined {
  let anyPort: Login | undefined
  for (const line of lines) {
    const parts = /^([^ \t]+)[ \t]+([^ \t]+)[ \t]+(.+)$/.exec(line)
    const place = parts?.[1]
    const named = place === undefined ? undefined : parseRelay(place)
    if (parts === null || place === undefined || named?.host !== relay.host) continue
    const login = { user: parts[2] ?? '', password: parts[3] ?? '' }
    if (!hasPort(place)) anyPort ??= login
    else if (named.port === relay.port) return login
  }
  return anyPort
}

function hasPort(place: ByteString): boolean {
  return /:[0-9]+$/.test(place.startsWith('[') ? place.slice(place.indexOf(']')) : place)
}
