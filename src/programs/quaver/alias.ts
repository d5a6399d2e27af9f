/** `quaver alias add`, `list` and `remove`. */
import { lowerAscii, toText } from '../../base/byte-string.ts'
import { parseAliasAddress, parseDomain, parseTarget } from '../../stores/accounts/address.ts'
import { type Alias, type ChangedAlias, listAliases, setAlias } from '../../stores/accounts/aliases.ts'
import { realFiles } from '../../system/files.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError } from './exit.ts'
import { harmless, print, printJson, table } from './output.ts'
import { changing, forwarderFor } from './site-change.ts'

export async function add(text: string, targets: readonly string[], options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const address = parseAliasAddress(text)
    const more = targets.map(parseTarget)
    const forwarder = await forwarderFor(home, address.domain)
    report(await setAlias(realFiles, home, address, (before) => [...before, ...more], forwarder), options)
  })
}

/** `targets`: none means all of them. */
export async function remove(text: string, targets: readonly string[], options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const address = parseAliasAddress(text)
    const gone = targets.map((target) => lowerAscii(parseTarget(target)))
    const forwarder = await forwarderFor(home, address.domain)
    const without = (before: readonly string[]): readonly string[] => {
      if (before.length === 0) throw new CommandError(`${text} is no alias ('quaver alias list' shows all)`)
      const missing = gone.find((target) => !before.some((one) => lowerAscii(one) === target))
      if (missing !== undefined) throw new CommandError(`${text} does not lead to ${toText(missing)}`)
      return gone.length === 0 ? [] : before.filter((one) => !gone.includes(lowerAscii(one)))
    }
    report(await setAlias(realFiles, home, address, without, forwarder), options)
  })
}

export async function list(domain: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const wanted = domain === undefined ? undefined : `@${parseDomain(domain)}`
    const all = await listAliases(realFiles, home)
    const shown = all.filter(({ address }) => wanted === undefined || address.endsWith(wanted))
    if (options.json === true) return printJson(shown.map(aliasForJson))
    if (shown.length === 0) return print("no aliases: 'quaver alias add ADDRESS TARGET' makes one")
    print(table(shown.map(({ address, targets }) => [address, harmless(targets.map(toText).join(', '))])))
  })
}

/** What became of an alias when accounts that it led to were removed. */
export function describeChange({ address, targets }: Alias): string {
  if (targets.length === 0) return `alias ${address} is gone, too: it led only there`
  return harmless(`alias ${address} leads to ${targets.map(toText).join(', ')} now`)
}

function report(alias: ChangedAlias, options: GlobalOptions): void {
  for (const target of alias.absent.map(toText))
    process.stderr.write(
      `quaver: nobody here is ${harmless(target)}: mail for it bounces until 'quaver account add ${harmless(target)}', or an alias of that name\n`,
    )
  if (options.json === true) return printJson(aliasForJson(alias))
  const { address, targets } = alias
  const what = address.startsWith('@') ? `whatever else is sent to ${address.slice(1)}` : address
  if (targets.length === 0) print(`the alias ${address} is gone`)
  else print(harmless(`mail for ${what} goes to ${targets.map(toText).join(', ')}`))
}

/** Targets as text. */
export function aliasForJson({ address, targets }: Alias): object {
  return { address, targets: targets.map(toText) }
}
