/** Files in control/ that no program reads: misspelt ones are faults, others are left alone.
 *  Knows:  names that editors and package managers leave behind; names that other qmails read. */
import { rulesNames } from '../../contracts/services.ts'
import type { Finding } from '../../stores/control/inspect.ts'
import { type OthersFile, othersFiles } from '../../stores/control/others-files.ts'

/** Read, but no rows of the table: TLS of remote hosts; and what is compiled. */
const alsoRead = new Set([
  'domainkeys',
  'tlshosts',
  'notlshosts',
  'clientcert.pem',
  ...rulesNames.map((name) => `tcprules/${name}`),
])
const leftBehind =
  /(?:~|,v| \(copy\)|\.(?:cdb|tmp|bak[0-9]*|old|orig|save|sav|rej|new|diff|(?:kate-)?sw[a-p]|dpkg-[a-z]+|ucf-[a-z]+|rpm[a-z]+|[0-9]+))$/
/** As editors on Windows append them. */
const foreignEnding = /\.(?:txt|conf|cfg|ini|lst|list|rtf)$/

/** Left by an editor, a package manager or as a backup: not mistaken for the file itself. */
export function isLeftBehind(name: string): boolean {
  return leftBehind.test(name)
}

export interface StrangeNames {
  readonly misspelt: Finding[]
  readonly unread: string[]
  /** Of other qmails. */
  readonly others: readonly (OthersFile & { readonly file: string })[]
}

/** `present`: paths below control/. */
export function strangeNames(present: readonly string[], known: readonly string[]): StrangeNames {
  const misspelt: Finding[] = []
  const unread: string[] = []
  const others: (OthersFile & { file: string })[] = []
  const wanted = [...known, ...rulesNames.map((name) => `tcprules/${name}`), 'tlshosts', 'notlshosts']
  for (const name of present.toSorted()) {
    const last = name.slice(name.lastIndexOf('/') + 1)
    const other = othersFiles.get(name)
    if (other !== undefined) others.push({ file: `control/${name}`, ...other })
    if (known.includes(name) || alsoRead.has(name) || other !== undefined) continue
    if (last.startsWith('.') || last.startsWith('#') || isLeftBehind(last)) continue
    const meant = closest(name.replace(foreignEnding, ''), wanted)
    if (meant === undefined) unread.push(`control/${name}`)
    else
      misspelt.push({
        file: `control/${name}`,
        line: undefined,
        fault: `is read by no program; control/${meant} is`,
        remedy: `if that is meant: mv -n control/${name} control/${meant}`,
      })
  }
  return { misspelt, unread, others }
}

/** The name that differs least, by two letters at most, and by less than half of them. */
function closest(name: string, wanted: readonly string[]): string | undefined {
  const plain = plainly(name)
  let best: string | undefined
  let least = Math.min(3, Math.ceil(plain.length / 2))
  for (const one of wanted) {
    const steps = distance(plain, plainly(one), least)
    if (steps >= least) continue
    best = one
    least = steps
  }
  return best
}

function plainly(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]/g, '')
}

/** Levenshtein's, with the exchange of two neighbours as one step; cut at `most`. */
function distance(one: string, other: string, most: number): number {
  if (Math.abs(one.length - other.length) >= most) return most
  let earlier: number[] = []
  let above = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1]
      let steps = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1])
        steps = Math.min(steps, (earlier[column - 2] ?? 0) + 1)
      current.push(steps)
    }
    earlier = above
    above = current
  }
  return above[other.length] ?? most
}
