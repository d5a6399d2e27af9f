/** `quaver dkim`: keys that sign outgoing mail.
 *  Never:  prints a private key. */
import { existsSync } from 'node:fs'
import { toText } from '../../base/byte-string.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { isSelector, type Lines, signingRuleFor } from '../../protocols/dkim/signing-rules.ts'
import { parseDomain } from '../../stores/accounts/address.ts'
import { Control } from '../../stores/control/control.ts'
import { accountName } from '../../stores/home/account-name.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { setSelectors } from '../../stores/signing-keys/signing-lines.ts'
import { keyPath, keysDirectory, listKeys, writeKey } from '../../stores/signing-keys/signing-keys.ts'
import { findAccount } from '../../system/accounts.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { type KeyKind, newPrivateKey } from '../../system/signatures.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { type CheckedKey, checkKey, describeKey, type ShownKey } from './dkim-key.ts'
import { CommandError, exitCode } from './exit.ts'
import { print, printJson, styled, table } from './output.ts'
import { changing, isOwn } from './site-change.ts'

export async function keygen(
  text: string,
  options: GlobalOptions & { type: KeyKind; selector?: string; also?: true },
): Promise<void> {
  const home = requireHome(options)
  const domain = parseDomain(text)
  await changing(home, async () => {
    const selector = options.selector ?? (await freeSelector(home, domain))
    if (!isSelector(selector))
      throw new CommandError(`--selector ${selector}: letters, digits and hyphens, as in q1`, exitCode.usage)
    const key = await makeKey(home, domain, selector, options.type)
    const before = ownSelectors(signingLines(home), domain)
    const signs = before.length === 0 || options.also === true
    if (signs) await setSelectors(realFiles, home, domain, [...before, selector])
    if (options.json === true) return printJson({ ...key, signs })
    print(
      signs
        ? `mail from ${domain} is signed with the key ${selector}`
        : `the key ${selector} of ${domain} is made, and does not sign yet: 'quaver dkim rotate ${domain}' goes over to it`,
    )
    print(`publish in the zone of ${domain}:\n${key.zone}`)
    if (signs) tellIfDown(home)
  })
}

export async function show(text: string | undefined, options: GlobalOptions): Promise<void> {
  const keys = await shownKeys(requireHome(options), text)
  if (options.json === true) return printJson(keys)
  if (keys.length === 0) return print("no keys: 'quaver dkim keygen example.org' makes one")
  print(
    table(
      keys.map(({ domain, selector, kind, signs, fault }) => [
        domain,
        selector,
        kind,
        fault ?? (signs ? 'signs' : 'in reserve'),
      ]),
    ),
  )
  for (const { zone } of keys) if (zone !== '') print(zone)
}

export async function check(text: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const keys = (await shownKeys(home, text)).filter(({ signs }) => signs)
  if (keys.length === 0) throw new CommandError("no key signs: 'quaver dkim keygen example.org' makes one that does")
  const dns = dnsOf(home)
  const checked = await Promise.all(keys.map((key) => checkKey(home, key, dns)))
  if (checked.some(({ verdict }) => verdict !== 'pass')) process.exitCode = exitCode.failed
  if (options.json === true) return printJson(checked)
  for (const one of checked) printChecked(one)
}

/** To be run twice: first makes and shows a key that does not sign yet; once the DNS has it, the key signs. */
export async function rotate(text: string, options: GlobalOptions & { now?: true }): Promise<void> {
  const home = requireHome(options)
  const domain = parseDomain(text)
  await changing(home, async () => {
    const keys = await shownKeys(home, domain)
    const before = keys.filter(({ signs }) => signs)
    const kind = before[0]?.kind ?? 'rsa'
    const reserve = keys.findLast((key) => !key.signs && key.kind === kind && isNewer(key, before))
    const next = reserve ?? (await makeKey(home, domain, await freeSelector(home, domain), kind))
    const { verdict, why } = await checkKey(home, next, dnsOf(home))
    const switches = verdict === 'pass' || options.now === true
    const others = before.filter((key) => key.kind !== kind).map(({ selector }) => selector)
    if (switches) await setSelectors(realFiles, home, domain, [next.selector, ...others])
    else process.exitCode = exitCode.temporary
    const replaced = before.filter((key) => key.kind === kind).map(({ selector }) => selector)
    if (options.json === true)
      return printJson({ next, verdict, why, switched: switches, replaced: switches ? replaced : [] })
    if (!switches) {
      print(`the DNS does not show the key ${next.selector} of ${domain} yet (${why}); publish it, and run this again:`)
      return print(next.zone)
    }
    print(`mail from ${domain} is signed with the key ${next.selector}`)
    for (const selector of replaced)
      print(
        `leave the record of ${selector} in the zone for two weeks: mail signed with it is still under way. Then: quaver dkim retire ${domain} ${selector}`,
      )
  })
}

export async function retire(text: string, selector: string, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const domain = parseDomain(text)
  await changing(home, async () => {
    const key = (await shownKeys(home, domain)).find((one) => one.selector === selector)
    if (key === undefined) throw new CommandError(`${domain} has no key ${selector} ('quaver dkim show ${domain}')`)
    if (key.signs)
      throw new CommandError(`${selector} signs: 'quaver dkim rotate ${domain}' goes over to another first`)
    await realFiles.remove(keyPath(home, { domain, selector }))
    if (options.json === true) return printJson({ domain, selector, retired: true })
    print(
      `the key ${selector} of ${domain} is deleted; take ${key.name} out of the zone, or publish it as "v=DKIM1; p="`,
    )
  })
}

async function makeKey(home: Home, domain: string, selector: string, kind: KeyKind): Promise<ShownKey> {
  const path = keyPath(home, { domain, selector })
  if (existsSync(path)) throw new CommandError(`${path} is there: a key is never overwritten; --selector names another`)
  await writeKey(realFiles, home, { domain, selector }, await newPrivateKey(kind), await signerAccount(home))
  return describeKey(home, { domain, selector }, new Set(ownSelectors(signingLines(home), domain)))
}

/** Undefined where all belongs to the caller. */
export async function signerAccount(home: Home): Promise<{ uid: number; gid: number } | undefined> {
  if (isOwn(home)) return undefined
  const name = accountName(new Control(home.control, realClock).map('roles'), 'signer')
  const account = await findAccount(name)
  if (account === undefined)
    throw new CommandError(
      `there is no account '${name}' for the program that signs: useradd --system --no-create-home --shell /usr/sbin/nologin ${name}`,
    )
  return account
}

/** If mail is signed here, gives a new domain a signing key and one in reserve before its first mail. */
export async function prepareKeys(home: Home, domain: string): Promise<void> {
  if (signingLines(home) === undefined) return
  if ((await listKeys(home)).some((key) => key.domain === domain)) return
  await makeFirstKeys(home, domain)
}

/** Of a domain: the one that signs first, and the one after it. */
export const firstSelectors = ['q1', 'q2'] as const

/** Makes the missing ones, for example after a power cut, and the line in control/dkimdomains. */
export async function makeFirstKeys(home: Home, domain: string): Promise<void> {
  for (const selector of firstSelectors)
    if (!existsSync(keyPath(home, { domain, selector }))) await makeKey(home, domain, selector, 'rsa')
  if (ownSelectors(signingLines(home), domain).length === 0)
    await setSelectors(realFiles, home, domain, [firstSelectors[0]])
}

export async function shownKeys(home: Home, text?: string): Promise<ShownKey[]> {
  const wanted = text === undefined ? undefined : parseDomain(text)
  const names = (await listKeys(home)).filter(({ domain }) => wanted === undefined || domain === wanted)
  const lines = signingLines(home)
  return names.map((name) => describeKey(home, name, new Set(ownSelectors(lines, name.domain))))
}

/** Not those of a parent, or of `@`. */
function ownSelectors(lines: Lines, domain: string): readonly string[] {
  const rule = signingRuleFor(domain, lines)
  return rule?.domain === domain ? rule.selectors.map(toText) : []
}

function signingLines(home: Home): Lines {
  return new Control(home.control, realClock).map('dkimdomains')
}

/** Our selectors are numbered in order. */
function isNewer({ selector }: ShownKey, than: readonly ShownKey[]): boolean {
  return than.every((other) => numberIn(selector) > numberIn(other.selector))
}

async function freeSelector(home: Home, domain: string): Promise<string> {
  const used = (await listKeys(home)).filter((key) => key.domain === domain).map(({ selector }) => numberIn(selector))
  return `q${Math.max(0, ...used) + 1}`
}

function numberIn(selector: string): number {
  return Number(/^q(\d{1,9})$/.exec(selector)?.[1] ?? 0)
}

export function dnsOf(home: Home): SystemDns {
  const servers = new Control(home.control, realClock).list('dnsservers') ?? []
  return new SystemDns(realClock, servers.map(toText), { queryMilliseconds: 3000, triesMax: 2 })
}

function printChecked({ domain, selector, verdict, why }: CheckedKey): void {
  if (verdict === 'pass')
    return print(`${styled('green', 'ok')}  ${domain} ${selector}: receivers can verify what it signs`)
  print(`${styled('red', '!!')}  ${domain} ${selector}: ${why}`)
}

function tellIfDown(home: Home): void {
  if (existsSync(socketPath(home, 'queue-signer'))) return
  print(`the program that signs does not run on this home: restart Quaver ('quaver stop', then start it again)`)
  print(`until then mail from these domains waits; keys are in ${keysDirectory(home)}`)
}
