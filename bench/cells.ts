/** The rows of `npm run bench`: where mail goes, by how many connections, kept or new for each message, and how large. */
import type { Cell } from './load.ts'

const kib = 1024

/** `share`: of --messages, because a row with one connection or large messages takes longer for each. */
function row(
  to: Cell['to'],
  connections: number,
  { bytes = 4 * kib, kept = false, share = 1 }: { bytes?: number; kept?: boolean; share?: number } = {},
): Cell {
  const place = to === 'maildir' ? 'to a Maildir' : 'relay'
  const plural = connections === 1 ? 'connection' : 'connections'
  const name = `${place}, ${size(bytes)}, ${connections} ${plural}, ${kept ? 'kept' : 'new'}`
  return { name, to, connections, bytes, kept, share }
}

function size(bytes: number): string {
  return bytes < kib * kib ? `${bytes / kib} KiB` : `${bytes / kib / kib} MiB`
}

export const cells: readonly Cell[] = [
  row('maildir', 1, { share: 0.25 }),
  row('maildir', 10),
  row('maildir', 50),
  row('maildir', 200),
  row('maildir', 50, { kept: true }),
  row('maildir', 200, { kept: true }),
  row('maildir', 50, { bytes: 64 * kib, share: 0.5 }),
  row('maildir', 10, { bytes: kib * kib, share: 0.1 }),
  row('relay', 10),
  row('relay', 50),
  row('relay', 50, { kept: true }),
]

/** Those that say most, for `--quick`. */
export const quickCells: readonly Cell[] = cells.filter(
  ({ connections, bytes }) => bytes === 4 * kib && (connections === 50 || connections === 1),
)

/** The first messages after a start, when nothing is compiled yet. */
export const coldCell: Cell = { ...row('maildir', 50), name: 'to a Maildir, 4 KiB, the first 500 after a start' }
export const coldMessages = 500
