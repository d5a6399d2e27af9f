/** `quaver rules check` and `compile`: the tcprules of the listeners. */
import { rulesNames, type RulesName } from '../../contracts/services.ts'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { type ByteString, fromBuffer, toText } from '../../base/byte-string.ts'
import { parseIp } from '../../protocols/qmail/ip-key.ts'
import { NetworkList } from '../../protocols/qmail/network-list.ts'
import { parseRules } from '../../protocols/qmail/tcprules.ts'
import { Control } from '../../stores/control/control.ts'
import type { Home } from '../../stores/home/layout.ts'
import { compileRules } from '../../stores/tcprules/compile.ts'
import { decideConnection, defaultRelayClients } from '../../stores/tcprules/decision.ts'
import { isOutdated, rulePaths, stampOf } from '../../stores/tcprules/files.ts'
import { RulesFile } from '../../stores/tcprules/rules-file.ts'
import { realClock } from '../../system/clock.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'

export interface CheckOptions extends GlobalOptions {
  readonly service: string
  readonly host?: string
  readonly info?: string
}

/** Exit code 1 if the peer would be turned away. */
export function check(address: string, options: CheckOptions): void {
  const ip = parseIp(address)?.toString()
  if (ip === undefined) throw new CommandError(`'${address}' is no IP address`, exitCode.usage)
  const home = requireHome(options)
  const service = serviceOf(options.service)
  const rules = new RulesFile(home, service, realClock)
  const control = new Control(home.control, realClock)
  const relays = new NetworkList(
    'relayclients',
    () => control.list('relayclients') ?? defaultRelayClients,
    () => undefined,
  )
  const client = { mayRelay: relays.has(ip), isLoopback: isLoopbackIp(ip) }
  const decision = decideConnection(service, rules.current(), { ip, host: options.host, info: options.info }, client)
  const found = {
    address: ip,
    service,
    verdict: decision.verdict,
    rule: decision.rule,
    line: decision.key === undefined ? undefined : lineOf(home, service, decision.key),
    variables: Object.fromEntries(decision.variables.map(([name, value]) => [toText(name), toText(value)])),
    text: decision.text,
    outdated: isOutdated(stampOf(rulePaths(home, service).source), stampOf(rulePaths(home, service).cdb)),
  }
  if (decision.verdict !== 'allow') process.exitCode = exitCode.failed
  if (options.json === true) printJson(found)
  else printFound(found)
}

function printFound(found: {
  readonly address: string
  readonly service: string
  readonly verdict: string
  readonly rule: string
  readonly line: number | undefined
  readonly variables: Readonly<Record<string, string>>
  readonly text: string
  readonly outdated: boolean
}): void {
  const { address, service, verdict, rule, line, variables, text, outdated } = found
  const colour = verdict === 'allow' ? 'green' : 'red'
  print(`${styled(colour, verdict)}  ${address} (${service})`)
  print(`  rule  ${harmless(rule)}${line === undefined ? '' : `  line ${line}`}`)
  for (const [name, value] of Object.entries(variables))
    print(`  sets  ${harmless(name)}=${harmless(JSON.stringify(value))}`)
  if (verdict === 'unknown') print(`  ${harmless(text)}: connections get 421`)
  if (outdated)
    print(styled('yellow', `  control/tcprules/${service} has changed since it was compiled: 'quaver rules compile'`))
}

/** Of the rule in the source, if it is still there. */
function lineOf(home: Home, service: RulesName, key: ByteString): number | undefined {
  try {
    const { rules } = parseRules(fromBuffer(readFileSync(rulePaths(home, service).source)))
    return rules.find(({ keys }) => keys.includes(key))?.line
  } catch {
    // A cdb that came without its source, or one that we may not read.
    return undefined
  }
}

function isLoopbackIp(ip: string): boolean {
  return ip === '::1' || (net.isIPv4(ip) && ip.startsWith('127.'))
}

export async function compile(name: string | undefined, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  const wanted = name === undefined ? rulesNames : [serviceOf(name)]
  const rows: object[] = []
  for (const service of wanted) {
    const outcome = await compileRules(home, service)
    const file = rulePaths(home, service).name
    if (outcome === undefined) {
      if (name !== undefined) throw new CommandError(`${file} is not there`)
      continue
    }
    if (!outcome.done) {
      const { class: kind, logText } = outcome.failure
      throw new CommandError(
        `${logText}; ${file}.cdb stays as it was`,
        kind === 5 ? exitCode.permanent : exitCode.temporary,
      )
    }
    rows.push({ service, ...outcome.value })
    if (options.json === true) continue
    print(`${file}.cdb: ${outcome.value.rules} rules`)
    for (const { line, reason } of outcome.value.idle) print(styled('yellow', `  line ${line} ${reason}`))
  }
  if (options.json === true) printJson(rows)
  else if (rows.length === 0) print('control/tcprules holds no rules: defaults are in force')
}

function serviceOf(name: string): RulesName {
  const service = rulesNames.find((known) => known === name)
  if (service !== undefined) return service
  throw new CommandError(`'${name}' is none of ${rulesNames.join(', ')}`, exitCode.usage)
}
