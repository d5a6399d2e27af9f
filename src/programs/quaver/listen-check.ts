/** What `quaver control check` finds in where services listen: one address for two of them. */
import { type Listener, listenersOf, type ServiceName, serviceNames, services } from '../../contracts/services.ts'
import type { Control } from '../../stores/control/control.ts'
import type { Finding } from '../../stores/control/inspect.ts'
import { parseAddress, type TcpAddress } from '../../system/bind.ts'

interface Place extends TcpAddress {
  readonly file: Listener['file']
  /** In words. */
  readonly from: string
}

export function inspectListeners(control: Control, isDemo: boolean): Finding[] {
  const wanted = control.list('services')
  const runs = serviceNames.filter((service) => wanted === undefined || wanted.includes(service))
  const places = runs
    .flatMap((service) => listenersOf(service))
    .flatMap((listener) => placesOf(listener, control, isDemo))
  return places.flatMap((place, at) => {
    const other = places.slice(0, at).find((one) => one.file !== place.file && isTaken(one, place))
    if (other === undefined) return []
    const fault = `names ${place.host}:${place.port}, which ${other.from} has: nothing starts`
    return [{ file: `control/${place.file}`, line: undefined, fault, remedy: 'give each service a port of its own' }]
  })
}

/** A demo without the file takes a free port. */
function placesOf(listener: Listener, control: Control, isDemo: boolean): Place[] {
  const { file, port, service } = listener
  const lines = control.list(file)
  if (lines === undefined)
    return isDemo || isOnRequest(service)
      ? []
      : ['0.0.0.0', '::'].map((host) => ({ file, host, port, from: `${file}, by default,` }))
  return lines.flatMap((line) => {
    const address = parseAddress(line)
    return address === undefined ? [] : [{ ...address, file, from: `control/${file}` }]
  })
}

function isOnRequest(service: ServiceName): boolean {
  return 'onRequest' in services[service]
}

/** Of one family; who has all addresses has each. */
function isTaken(one: TcpAddress, other: TcpAddress): boolean {
  if (one.port !== other.port || one.port === 0 || one.host.includes(':') !== other.host.includes(':')) return false
  return one.host === other.host || [one.host, other.host].some((host) => host === '0.0.0.0' || host === '::')
}
