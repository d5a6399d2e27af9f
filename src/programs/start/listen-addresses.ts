/** Where each listener of a service listens: by its control file, or by default. */
import { networkInterfaces } from 'node:os'
import type { Listener } from '../../contracts/services.ts'
import type { Control } from '../../stores/control/control.ts'
import { parseAddress, type TcpAddress } from '../../system/bind.ts'
import { UsageError } from './usage-error.ts'

/** From the control file, else every address of the machine (IPv6 where it has it), in a demo loopback: on the usual
 *  port, or on a free one. */
export function addressesOf(
  { file, port, demoPort }: Listener,
  control: Control,
  demo: boolean,
  usualPort: boolean,
): readonly TcpAddress[] {
  const lines = control.list(file)
  if (lines === undefined) return demo ? [{ host: '127.0.0.1', port: usualPort ? demoPort : 0 }] : everywhere(port)
  const addresses = lines.map((line) => parseListenLine(file, line, port))
  const shown = addresses.map((address) => `${address.host} ${address.port}`)
  if (new Set(shown).size < shown.length) throw new UsageError(`control/${file} names an address twice`)
  return addresses
}

function everywhere(port: number): readonly TcpAddress[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const hosts = all.some(({ family }) => family === 'IPv6') ? ['0.0.0.0', '::'] : ['0.0.0.0']
  return hosts.map((host) => ({ host, port }))
}

function parseListenLine(file: string, line: string, port: number): TcpAddress {
  const address = parseAddress(line)
  if (address !== undefined) return address
  throw new UsageError(
    `control/${file}: '${line}' is not address:port, as in 192.0.2.1:${port} or [2001:db8::1]:${port}`,
  )
}
