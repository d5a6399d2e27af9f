/** Which process listens on a TCP port of this machine.
 *  Knows:  /proc (Linux). Elsewhere no process is found; `start` then only says that a port is taken.
 *  Fails:  what cannot be looked at is not told; nothing throws. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

export interface PortHolder {
  readonly port: number
  /** Undefined if the process cannot be seen: another user's, unless we are root, or in another namespace. */
  readonly pid: number | undefined
  /** The process's name; empty if unknown. */
  readonly command: string
}

/** Of a line of /proc/net/tcp. */
const listening = '0A'

export function portHolders(ports: readonly number[]): PortHolder[] {
  const inodes = new Map<string, number>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of textOf(table).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)
      if (state === listening && ports.includes(port)) inodes.set(inode, port)
    }
  }
  if (inodes.size === 0) return []
  const owners = processesOf(new Set(inodes.keys()))
  const found = new Map<number, PortHolder>()
  for (const [inode, port] of inodes) {
    const pid = owners.get(inode)
    if (found.get(port)?.pid !== undefined) continue
    found.set(port, { port, pid, command: pid === undefined ? '' : textOf(`/proc/${pid}/comm`).trim() })
  }
  return ports.map((port) => found.get(port)).filter((one) => one !== undefined)
}

/** Of several processes that have a socket, the eldest: the others inherited it. */
function processesOf(inodes: ReadonlySet<string>): Map<string, number> {
  const found = new Map<string, number>()
  const pids = namesIn('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  for (const pid of pids.toSorted((a, b) => a - b)) {
    for (const name of namesIn(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(join(`/proc/${pid}/fd`, name)))?.[1]
      if (inode !== undefined && inodes.has(inode) && !found.has(inode)) found.set(inode, pid)
    }
    if (found.size === inodes.size) break
  }
  return found
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
