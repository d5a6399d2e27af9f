/** Test files that share one process, because a Node process each would cost more than their tests do: the unit tests of
 *  src/, room by room.
 *  Never:  a file that changes its process: see `wantsItsOwnProcess`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Relative to the clone. With `members` it is a file made for this run, which imports them. */
export interface TestFile {
  readonly path: string
  readonly members?: readonly string[]
}

/** More would keep one core busy with one group while the other has nothing left to do. */
const membersMax = 30

/** What they do to the process would hold for the others of a group too. */
const alone: ReadonlyMap<string, string> = new Map([
  ['src/programs/start/supervision.test.ts', 'runs `start`, which sets the umask'],
  ['src/programs/lspawn/password-checker.test.ts', 'counts its open descriptors, and gives programs a time limit'],
  ['src/system/frame-server.test.ts', 'measures its memory'],
  ['src/system/watched-process.test.ts', 'counts its open descriptors'],
])
/** Outside every `describe` they hold for the whole process. */
const hooksOfTheProcess = /^(?:before|after|beforeEach|afterEach)\(/m

/** The files in their order, those of a room that may share a process as one, where the first of them stood.
 *  @param directory where the files that import the members are written */
export function grouped(files: readonly string[], root: string, directory: string): TestFile[] {
  const groups = new Map<string, string[]>()
  const order: string[][] = []
  for (const file of files) {
    const room = wantsItsOwnProcess(file, root) ? undefined : roomOf(file)
    const group = room === undefined ? undefined : groups.get(room)
    if (group !== undefined && group.length < membersMax) {
      group.push(file)
      continue
    }
    const begun = [file]
    order.push(begun)
    if (room !== undefined) groups.set(room, begun)
  }
  return order.map((members, index) => {
    const [first = ''] = members
    if (members.length === 1) return { path: first }
    const path = join(directory, `${index}-${roomOf(first)?.replace('/', '-') ?? ''}.mjs`)
    writeFileSync(path, groupText(members, root))
    return { path, members }
  })
}

/** Imports them one after another, first what notices that one of them ends the process. */
function groupText(members: readonly string[], root: string): string {
  return [join(import.meta.dirname, 'whole-group.ts'), ...members.map((member) => join(root, member))]
    .map((path) => `import ${JSON.stringify(pathToFileURL(path).href)}\n`)
    .join('')
}

function wantsItsOwnProcess(file: string, root: string): boolean {
  return alone.has(file) || hooksOfTheProcess.test(readFileSync(join(root, file), 'utf8'))
}

/** `src/stores`, for what may be in a group at all: what is in test/ mostly waits for processes of its own. */
function roomOf(file: string): string | undefined {
  return /^src\/[a-z]+/.exec(file)?.[0]
}
