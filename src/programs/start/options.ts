/** The arguments of `start`, and what control/ says where they are silent. */
import { networkInterfaces } from 'node:os'
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import type { Control } from '../../stores/control/control.ts'
import { parseAddress, type TcpAddress } from '../../system/bind.ts'
import { type Service, services } from './program.ts'

export class UsageError extends Error {
  override name = 'UsageError'
}

export interface StartOptions {
  /** Absolute. */
  readonly home: string
  readonly demo: boolean
  /** Undefined: control/services decides. */
  readonly services: readonly Service[] | undefined
  readonly smtpPort: number | undefined
  /** The demo's log is shown on the terminal as well. */
  readonly verbose: boolean
}

const demoListen: readonly TcpAddress[] = [{ host: '127.0.0.1', port: 2525 }]

/** Every address; IPv6 only where the machine has it. */
function systemListen(): readonly TcpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const hosts = all.some(({ family }) => family === 'IPv6') ? ['0.0.0.0', '::'] : ['0.0.0.0']
  return hosts.map((host) => ({ host, port: 25 }))
}

export function parseOptions(args: readonly string[]): StartOptions {
  const { values } = parse(args)
  if (values.home === undefined) throw new UsageError('--home is missing')
  return {
    home: values.home,
    demo: values.demo === true,
    services: values.services === undefined ? undefined : parseServices(values.services.split(','), '--services'),
    smtpPort: values['smtp-port'] === undefined ? undefined : parsePort(values['smtp-port']),
    verbose: values.verbose === true,
  }
}

export function wantedServices(options: StartOptions, control: Control): readonly Service[] {
  return options.services ?? parseServices(control.list('services') ?? services, 'control/services')
}

export function smtpAddresses(options: StartOptions, control: Control): readonly TcpAddress[] {
  const lines = control.list('listen-smtp')
  const addresses = lines?.map(parseListenLine) ?? (options.demo ? demoListen : systemListen())
  const shown = addresses.map(({ host, port }) => `${host} ${port}`)
  if (new Set(shown).size < shown.length) throw new UsageError('control/listen-smtp names an address twice')
  const { smtpPort } = options
  return smtpPort === undefined ? addresses : addresses.map(({ host }) => ({ host, port: smtpPort }))
}

function parseListenLine(line: string): TcpAddress {
  const address = parseAddress(line)
  if (address !== undefined) return address
  throw new UsageError(`control/listen-smtp: '${line}' is not address:port, as in 192.0.2.1:25 or [2001:db8::1]:25`)
}

function parse(args: readonly string[]): ReturnType<typeof parseStartArgs> {
  try {
    return parseStartArgs(args)
  } catch (error) {
    throw new UsageError(describeError(error))
  }
}

function parseStartArgs(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      home: { type: 'string' },
      demo: { type: 'boolean' },
      services: { type: 'string' },
      'smtp-port': { type: 'string' },
      verbose: { type: 'boolean' },
    },
  })
}

function parseServices(names: readonly string[], place: string): readonly Service[] {
  return names.map((name) => {
    const service = services.find((known) => known === name.trim())
    if (service === undefined)
      throw new UsageError(`${place}: '${name}' is no service; there are ${services.join(', ')}`)
    return service
  })
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65535) return port
  throw new UsageError(`--smtp-port: '${text}' is not a port from 0 to 65535 (0 takes a free one)`)
}
