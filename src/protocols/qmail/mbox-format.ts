/** The mboxrd format (mbox(5)): every line that is `From ` after any number of `>` gets one `>` more; the last line is
 *  completed; an empty line ends the message. Works chunk by chunk, holding back at most four bytes. */
const newline = 10
const quote = 62
const from: Buffer = Buffer.from('From ')
const empty: Buffer = Buffer.alloc(0)

export class MboxQuoter {
  /** `quotes`: only `>` so far in this line. `from`: some of `From ` after them. `rest`: the line is decided. */
  private state: 'quotes' | 'from' | 'rest' = 'quotes'
  private matched = 0
  private lastByte = newline

  /** The chunk as it goes into the file, in pieces. */
  push(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = []
    let start = 0
    let at = 0
    if (chunk.length > 0) this.lastByte = chunk[chunk.length - 1] ?? newline
    while (at < chunk.length) {
      if (this.state === 'rest') {
        const end = chunk.indexOf(newline, at)
        if (end < 0) break
        at = end + 1
        this.state = 'quotes'
        continue
      }
      const byte = chunk[at]
      if (byte === from[this.matched]) {
        // Bytes of `From ` are held back: a `>` may have to go before them.
        if (this.matched === 0) {
          if (at > start) pieces.push(chunk.subarray(start, at))
          this.state = 'from'
        }
        at++
        start = at
        this.matched++
        if (this.matched === from.length) {
          pieces.push(Buffer.from('>From '))
          this.matched = 0
          this.state = 'rest'
        }
      } else if (this.state === 'quotes' && byte === quote) at++
      else {
        if (this.matched > 0) pieces.push(from.subarray(0, this.matched))
        this.matched = 0
        this.state = 'rest'
      }
    }
    if (chunk.length > start) pieces.push(chunk.subarray(start))
    return pieces
  }

  /** What comes after the last chunk. */
  end(): Buffer[] {
    const held = this.matched > 0 ? from.subarray(0, this.matched) : empty
    return [held, Buffer.from(this.lastByte === newline ? '\n' : '\n\n')]
  }
}
