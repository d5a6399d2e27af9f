/** Checks of lines of control files, one for each kind of line, for the rows of table.ts.
 *  Never:  quotes a line: the printing code knows what may be shown.
 *  Fails:  a valid line yields nothing, however unusual it is. */
import { type ByteString, fromText, lowerAscii } from '../../base/byte-string.ts'
import { compileEre } from '../../protocols/ere/ere.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { isNetwork, isWideNetwork } from '../../protocols/qmail/network-list.ts'
import { programIn } from '../../protocols/qmail/program-line.ts'
import { stages } from '../../protocols/spp/plug-ins.ts'
import { parseRelay } from '../../protocols/qmail/smtproutes.ts'
import { isPlainAddress } from '../../protocols/reports/plain-address.ts'
import { parseAddress } from '../../system/bind.ts'
import { accountOf } from '../home/layout.ts'
import type { LineCheck, LineFault, ProgramUse } from './form.ts'

const hostPattern = /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/

/** `fault` follows `line N `; `form` is what the line should be. */
export function isOf(form: string, isOne: (line: ByteString) => boolean): LineCheck {
  return (line) => (isOne(line) ? undefined : wrong(`is not: ${form}`, `write it as ${form}, or take it out`))
}

export const isHost: LineCheck = (line) => hostFault(line)

/** `locals`, `percenthack`: whole names only. */
export const isLocalDomain: LineCheck = (line, { isAccepted }) => {
  if (line.startsWith('.') || line.startsWith('*'))
    return wrong(
      'stands for no domain: there are no wildcards in it',
      'write each name, or use control/virtualdomains, where .example.org is one',
    )
  const fault = isLiteral(line) ? undefined : hostFault(line)
  return fault ?? (isAccepted(lowerAscii(line)) ? undefined : notAccepted)
}

/** Other servers take its first word for our name. */
export const isGreeting: LineCheck = (line) =>
  hostFault(line.split(' ', 1)[0] ?? '') === undefined
    ? undefined
    : wrong('does not begin with a host name', 'write the name of this host before anything else')

/** A whole name, or a literal. */
export const isDomain: LineCheck = (line) => hostOrLiteralFault(line)

/** `rcpthosts` and its kin: a name, or `.name` for all below. */
export const isDomainOrSuffix: LineCheck = (line) => {
  if (line.startsWith('*.')) return wrong('begins with *, which is no wildcard here', `write it as .${line.slice(2)}`)
  return isLiteral(line) ? undefined : hostFault(line.startsWith('.') ? line.slice(1) : line)
}

/** `user@host` or `@host`. */
export const isAddressOrDomain: LineCheck = (line, surroundings, earlier) =>
  line.startsWith('*@')
    ? wrong('begins with *, which is no wildcard here', `write it as ${line.slice(1)}`)
    : addressForm(line, surroundings, earlier)

const addressForm: LineCheck = isOf('user@host or @host', (line) => {
  const at = line.lastIndexOf('@')
  return at >= 0 && !/[\0-\x20\x7f]/.test(line) && !isSeveral(line, at) && isHostOrLiteral(line.slice(at + 1))
})

/** Two addresses joined by a comma or semicolon read as one whose user contains an `@`. */
function isSeveral(line: ByteString, at: number): boolean {
  const user = line.slice(0, at)
  return user.includes('@') && !user.startsWith('"')
}

/** After the `&` of a `.qmail` line, or without it. An address without `@` is a user of this host. */
export const isForward: LineCheck = (address) => {
  const at = address.lastIndexOf('@')
  if (!address.startsWith('"') && /[\0-\x20\x7f<>;]/.test(address))
    return wrong('forwards to what is no address', 'one address a line, as &joe@example.org')
  if (isSeveral(address, at)) return wrong('forwards to several addresses at once', 'write each on a line of its own')
  const host = address.slice(at + 1)
  // A non-ASCII name has a form for the DNS, and a dot at its end is dropped.
  return at < 0 || /[\x80-\xff]|[^.]\.$/.test(host) || isHostOrLiteral(host)
    ? undefined
    : wrong('forwards to what is no address', 'one address a line, as &joe@example.org')
}

/** Valid in a URI, in a header field and in SMTP. */
export const isReportAddress: LineCheck = isOf('a plain address, as dmarc-reports@example.org', isPlainAddress)

/** `badmailfrom`, which qregex reads as patterns, too. */
export const isSenderOrPattern: LineCheck = (line, surroundings, earlier) =>
  (surroundings.usesPatterns ? isPattern : isAddressOrDomain)(line, surroundings, earlier)

/** A pattern of qregex: a `!` in front negates. */
export const isPattern: LineCheck = (line) => {
  try {
    compileEre(line.startsWith('!') ? line.slice(1) : line)
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be compiled'
    return wrong(
      `is no pattern: ${reason}; every recipient gets 421 for it`,
      'close brackets and parentheses, or put a \\ before what is meant as it is',
    )
  }
}

export const isPeer: LineCheck = isOf('an address or a network, as 192.0.2.1 or 192.0.2.0/24', isNetwork)

/** Hosts in it are trusted, or may relay. */
export const isTrustedPeer: LineCheck = (line, surroundings, earlier) =>
  isWideNetwork(line)
    ? wrong(
        'trusts a good part of the world: an open relay, which is found and listed within hours',
        'write the networks of your own, as 192.0.2.0/24',
      )
    : isPeer(line, surroundings, earlier)

export const isNameServer: LineCheck = isOf(
  'an address, or address:port, as 192.0.2.53 or [2001:db8::53]:53',
  (line) => {
    return parseIp(line) !== undefined || parseAddress(line) !== undefined
  },
)

export const isListenAddress: LineCheck = (line, surroundings, earlier) => {
  if (earlier.includes(line)) return wrong('names an address twice: nothing starts', 'take one of the lines out')
  return listenForm(line, surroundings, earlier)
}

const listenForm: LineCheck = isOf('address:port, as 192.0.2.1:25 or [2001:db8::1]:25', (line) => {
  const address = parseAddress(line)
  return address !== undefined && parseIp(address.host) !== undefined
})

/** Printable, without blanks. */
export const isLocalPart: LineCheck = isOf('a user name without @', (line) => /^[!-?A-~\x80-\xff]*$/.test(line))

export function runs(use: ProgramUse): LineCheck {
  return (line, { programFault }) => programFault(line, use)
}

/** `smtpplugins`: sections by their first letter, then paths, or `:command` for a shell. */
export const isPlugInLine: LineCheck = (line, surroundings, earlier) => {
  if (line.startsWith('[')) return sectionFault(line)
  if (!earlier.some((one) => one.startsWith('[')))
    return wrong(
      'is in no section: it never runs',
      'put [connection], [helo], [mail], [rcpt] or [data] on a line before it',
    )
  if (!line.startsWith(':')) return surroundings.programFault(line, 'plug-in')
  // Only a plain path is checked; the rest is the shell's to interpret.
  const path = /^:([A-Za-z0-9_.-]*\/[A-Za-z0-9_./-]+)(?: |$)/.exec(line)?.[1]
  return path === undefined ? undefined : surroundings.programFault(path, 'plug-in')
}

/** Only the first letter counts, so `[mail` and `[rctp]` name sections; the author may have meant another one. */
function sectionFault(line: ByteString): LineFault | undefined {
  const remedy = 'the sections are [connection] [helo] [mail] [rcpt] [data]'
  const stage = stages.find((name) => name[0] === line[1])
  if (stage === undefined) return wrong('begins no section: its plug-ins never run', remedy)
  const name = /^\[([a-z]+)\]$/.exec(line)?.[1]
  return name !== undefined && stage.startsWith(name)
    ? undefined
    : wrong(`is taken for [${stage}], because of its first letter`, remedy)
}

/** `key:relay` of smtproutes and senderroutes; an empty relay means the MX. */
export function isRoute(keyCheck: LineCheck): LineCheck {
  return (line, surroundings, earlier) => {
    const { key, value } = pairIn(line)
    if (value === undefined) return noColon
    const relay = value === '' ? undefined : parseRelay(value)
    if (value !== '' && (relay === undefined || !isHostOrAddress(relay.host)))
      return wrong(
        'names no relay: mail for it waits',
        'write host, host:port, or [address]:port behind the first colon',
      )
    return key === '' ? undefined : keyCheck(key, surroundings, earlier)
  }
}

/** `domain:prepend`, `.domain:prepend`, `user@domain:prepend`, `:prepend`. */
export const isVirtualDomain: LineCheck = (line, surroundings, earlier) => {
  const { key, value } = pairIn(line)
  if (value === undefined) return noColon
  if (/[\0-\x20\x7f]/.test(value)) return wrong('has a blank behind its colon', 'write domain:prepend without blanks')
  if (key === '') return undefined
  if (key.startsWith('@')) return wrong('names nobody before its @, and does nothing', `write ${line.slice(1)}`)
  const domain = lowerAscii(key.slice(key.lastIndexOf('@') + 1))
  const fault = domain.startsWith('.') ? isDomainOrSuffix(domain, surroundings, earlier) : hostOrLiteralFault(domain)
  if (fault !== undefined) return fault
  if (!key.includes('@') && surroundings.locals.has(domain))
    return wrong(
      'is about a domain of control/locals, which decides: this line does nothing',
      'keep it in one of the two',
    )
  // An exception.
  if (value === '') return undefined
  if (!surroundings.hasOwner(lowerAscii(value)))
    return wrong(
      'gives a domain to nobody: all of its mail bounces',
      `add an account, a line to users/assign, or alias/.qmail-${value.replaceAll('.', ':')}-default`,
    )
  // A wildcard of rcpthosts may accept these.
  if (domain.startsWith('.') || key.includes('@')) return undefined
  return surroundings.isAccepted(domain) ? undefined : notAccepted
}

/** `relay[:port] user password`. */
export const isSecret: LineCheck = (line, surroundings, earlier) => {
  const relayOf = (one: ByteString): ByteString => lowerAscii(one.split(/[ \t]/, 1)[0] ?? '')
  if (earlier.some((one) => relayOf(one) === relayOf(line)))
    return wrong('is a second one for its relay: the first counts', 'take one of them out')
  return secretForm(line, surroundings, earlier)
}

const secretForm: LineCheck = isOf('relay, relay:port or [address]:port, then a user and a password', (line) => {
  const relay = /^([^ \t]+)[ \t]+[^ \t]+[ \t]+./.exec(line)?.[1]
  return relay !== undefined && isHostOrAddress(parseRelay(relay)?.host ?? '')
})

/** `role:account`. */
export const isRoleAccount: LineCheck = (line, { hasAccount }) => {
  const { key, value } = pairIn(line)
  if (value === undefined) return noColon
  if (!Object.hasOwn(accountOf, key))
    return wrong('names no role', `the roles are ${Object.keys(accountOf).join(', ')}`)
  if (key === 'root') return wrong('gives away what root does', 'take it out: some programs must be root')
  return hasAccount(value)
    ? undefined
    : wrong('names an account that this machine does not have', 'useradd it, or name another')
}

/** `account:address,@domain,…`. */
export const isSenderRight: LineCheck = (line, surroundings, earlier) => {
  const { key, value } = pairIn(line)
  if (value === undefined) return noColon
  if (!/^[!-~\x80-\xff]+$/.test(key)) return wrong('names no account before its colon', 'write account:address,@domain')
  if (!surroundings.mayLogIn(lowerAscii(key)))
    return wrong('is about an account that does not exist', 'mend the name (quaver account list), or take the line out')
  for (const address of value.split(','))
    if (isAddressOrDomain(address.trim(), surroundings, earlier) !== undefined)
      return wrong('gives a right to what is no address', 'write account:address,@domain, with commas between')
  return undefined
}

/** A field name (RFC 5322 §2.2). */
export const isFieldName: LineCheck = isOf('a field name, as X-DNS-Lists', (line) => /^[!-9;-~]*$/.test(line))

/** Words of EHLO or CAPA. */
export const isCapability: LineCheck = isOf('a capability, as 8BITMIME', (line) => /^[A-Za-z0-9][!-~ ]*$/.test(line))

/** `.qmail` instruction that stands for an empty or absent one. */
export const isDelivery: LineCheck = (line, surroundings, earlier) => {
  const program = line.startsWith('|') ? programIn(line.slice(1)) : undefined
  if (program !== undefined) return surroundings.programFault(fromText(program), 'program')
  return deliveryForm(line, surroundings, earlier)
}

const deliveryForm: LineCheck = isOf('a line of a .qmail file, as ./Maildir/', (line) => {
  return /^(?:[./|&].|[^#+ \t|].*@)/.test(line)
})

export function isOneOf(words: readonly string[], what: string): LineCheck {
  return isOf(`one of ${words.join(', ')} (${what})`, (line) => words.includes(line.trim()))
}

export function wrong(fault: string, remedy: string): LineFault {
  return { fault, remedy }
}

export const noColon: LineFault = wrong('has no colon', 'write it as key:value, or put a # in front')

const notAccepted: LineFault = wrong(
  'is about a domain that control/rcpthosts does not have: mail for it from elsewhere gets 553',
  'add the domain to control/rcpthosts',
)

function hostFault(name: ByteString): LineFault | undefined {
  if (name === '') return wrong('names no host', 'write a domain name')
  if (/[\x80-\xff]/.test(name)) return wrong('has letters that no name in the DNS has', 'write it as xn--… (punycode)')
  if (/[ \t]/.test(name))
    return wrong('has a blank in it', 'one name a line; remarks are lines of their own with # in front')
  if (name.includes('@')) return wrong('is an address where a domain belongs', 'write what is behind the @')
  if (name.endsWith('.')) return wrong('ends with a dot', 'leave the last dot out')
  return hostPattern.test(name) && name.length <= 253
    ? undefined
    : wrong('is no domain name', 'letters, digits, - and dots between labels')
}

function hostOrLiteralFault(name: ByteString): LineFault | undefined {
  return isLiteral(name) ? undefined : hostFault(name)
}

function isHostOrLiteral(name: ByteString): boolean {
  return hostOrLiteralFault(name) === undefined
}

function isHostOrAddress(name: ByteString): boolean {
  return parseIp(name) !== undefined || hostFault(name) === undefined
}

/** `[192.0.2.1]`. */
function isLiteral(name: ByteString): boolean {
  const ip = /^\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]$/.exec(name)?.[1]
  return ip !== undefined && parseIp(ip) !== undefined
}

function pairIn(line: ByteString): { readonly key: ByteString; readonly value: ByteString | undefined } {
  const colon = line.indexOf(':')
  return colon < 0 ? { key: line, value: undefined } : { key: line.slice(0, colon), value: line.slice(colon + 1) }
}
