/** The arguments of `start`, with defaults from control/. */
import { parseArgs } from 'node:util'
import { describeError } from '../../base/outcome.ts'
import { type Listener, type ListenerName, type ServiceName, serviceNames } from '../../contracts/services.ts'
import type { Control } from '../../stores/control/control.ts'
import type { TcpAddress } from '../../system/bind.ts'
import { addressesOf } from './listen-addresses.ts'
import { UsageError } from './usage-error.ts'

export interface StartOptions {
  /** Absolute. */
  readonly home: string
  readonly demo: boolean
  /** Undefined: control/services decides. */
  readonly services: readonly ServiceName[] | undefined
  readonly smtpPort: number | undefined
  /** The demo's log is shown on the terminal as well. */
  readonly verbose: boolean
  /** The demo shows the way of one message. */
  readonly tour: boolean
  /** Where a system home logs unless control/log says otherwise. */
  readonly log: string | undefined
  /** A descriptor that gets a line end when everything serves (s6's protocol), and is then closed. */
  readonly readyFd: number | undefined
}

export function parseOptions(args: readonly string[]): StartOptions {
  const { values } = parse(args)
  if (values.home === undefined || values.home === '') throw new UsageError('--home is missing')
  return {
    home: values.home,
    demo: values.demo === true,
    services: values.services === undefined ? undefined : parseServices(values.services.split(','), '--services'),
    smtpPort: values['smtp-port'] === undefined ? undefined : parsePort(values['smtp-port']),
    verbose: values.verbose === true,
    tour: values['no-tour'] !== true,
    log: values.log,
    readyFd: values['ready-fd'] === undefined ? undefined : parseDescriptor(values['ready-fd']),
  }
}

export function wantedServices(options: StartOptions, control: Control): readonly ServiceName[] {
  return options.services ?? parseServices(control.list('services') ?? serviceNames, 'control/services')
}

/** Where each service listens. A demo with another SMTP port than the usual one is a second demo: its other ports are free
 *  ones, unless control/ names them. */
export function addressesFor(
  wanted: readonly Listener[],
  options: StartOptions,
  control: Control,
): ReadonlyMap<ListenerName, readonly TcpAddress[]> {
  const { smtpPort, demo } = options
  return new Map(
    wanted.map((listener) => {
      const { name } = listener
      const addresses = addressesOf(listener, control, demo, smtpPort === undefined)
      const moved = name === 'smtp' && smtpPort !== undefined
      return [name, moved ? addresses.map(({ host }) => ({ host, port: smtpPort })) : addresses]
    }),
  )
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
      'no-tour': { type: 'boolean' },
      log: { type: 'string' },
      'ready-fd': { type: 'string' },
    },
  })
}

function parseServices(names: readonly string[], place: string): readonly ServiceName[] {
  return names.map((name) => {
    const service = serviceNames.find((known) => known === name.trim())
    if (service === undefined)
      throw new UsageError(`${place}: '${name}' is no service; there are ${serviceNames.join(', ')}`)
    return service
  })
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65535) return port
  throw new UsageError(`--smtp-port: '${text}' is not a port from 0 to 65535 (0 takes a free one)`)
}

function parseDescriptor(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) > 2) return Number(text)
  throw new UsageError(`--ready-fd: '${text}' is no descriptor from 3 on`)
}
