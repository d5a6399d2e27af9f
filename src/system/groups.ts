/** Names of the machine's groups, as /etc/group has them.
 *  Fails:  throws as Node does where the file cannot be read. */
import { readFileSync } from 'node:fs'

const groupPath = '/etc/group'

/** Undefined: the file does not know it; the name service may. */
export function groupId(name: string): number | undefined {
  return lines().find((line) => line.name === name)?.gid
}

/** Undefined: the file does not know it; the name service may. */
export function groupName(gid: number): string | undefined {
  return lines().find((line) => line.gid === gid)?.name
}

interface GroupLine {
  readonly name: string
  readonly gid: number
}

let known: { readonly text: string; readonly lines: readonly GroupLine[] } | undefined

function lines(): readonly GroupLine[] {
  const text = readFileSync(groupPath, 'latin1')
  if (known?.text === text) return known.lines
  const found = text.split('\n').flatMap((line) => {
    const [name = '', , gid = ''] = line.split(':')
    return /^\d{1,10}$/.test(gid) ? [{ name, gid: Number(gid) }] : []
  })
  known = { text, lines: found }
  return found
}
