/** Processes as /proc shows them: trees, CPU time, memory, process groups. Linux only.
 *  Knows:  /proc. Never: which of them are ours to end. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** Ended, and not yet waited for. */
  readonly isZombie: boolean
  /** User and system time, its own and that of children that ended and were waited for. */
  readonly cpuMilliseconds: number
}

/** Linux counts in ticks of 1/100 s on every architecture we run on. */
const millisecondsPerTick = 10

export function allProcesses(): Process[] {
  const processes: Process[] = []
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? read(`/proc/${name}/stat`) : ''
    if (stat === '') continue
    // The command name may hold spaces and parentheses; the fields after its last parenthesis do not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const at = (index: number): number => Number(fields[index])
    processes.push({
      pid: Number(name),
      parent: at(1),
      group: at(2),
      isZombie: fields[0] === 'Z',
      cpuMilliseconds: (at(11) + at(12) + at(13) + at(14)) * millisecondsPerTick,
    })
  }
  return processes
}

/** The process and everything below it. */
export function treeOf(root: number): Process[] {
  const processes = allProcesses()
  const tree = processes.filter(({ pid }) => pid === root)
  for (const { pid } of tree) tree.push(...processes.filter(({ parent }) => parent === pid))
  return tree
}

export function groupOf(group: number): Process[] {
  return allProcesses().filter((process) => process.group === group && !process.isZombie)
}

/** CPU milliseconds of the tree so far; ended processes are counted with the parent that waited for them. */
export function cpuMilliseconds(root: number): number {
  return treeOf(root).reduce((sum, process) => sum + process.cpuMilliseconds, 0)
}

/** Memory of the tree in bytes: pages that processes share are counted once. */
export function proportionalBytes(root: number): number {
  return treeOf(root).reduce(
    (sum, { pid }) => sum + kibibytesIn(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m) * 1024,
    0,
  )
}

/** Memory of one process in bytes, shared pages included; 0 if it is gone. */
export function residentBytes(pid: number): number {
  return kibibytesIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m) * 1024
}

export function commandLine(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`).split('\0').slice(0, -1)
}

/** Which of our programs it is: the name of its folder. Undefined for others. */
export function programOf(pid: number): string | undefined {
  return /\/programs\/(\w+)\/main\./.exec(commandLine(pid).join('\n'))?.[1]
}

function kibibytesIn(path: string, pattern: RegExp): number {
  return Number(pattern.exec(read(path))?.[1] ?? 0)
}

/** Empty if the process ended between the listing and now. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
