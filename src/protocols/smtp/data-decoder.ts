/** The content after DATA (RFC 5321 §4.5.2): dots unstuffed, CRLF turned into LF, the end found.
 *  A line of the body may be as long as the message may be: it is never held. Only CRLF `.` CRLF ends the content. A bare LF, a
 *  bare CR or a NUL is an error at once, wherever the chunks are cut.
 *  Knows:  lines, and of the header its hops, fields and size. Never: keeps content; `write` gets it in order. */

import type { ByteString } from '../../base/byte-string.ts'

export const headerBytesMax: number = 1024 * 1024
export const headerFieldsMax = 2000
export const hopsMax = 100

const lf = 10
const cr = 13
const dot = 46
const space = 32
const tab = 9

export type DataFault = 'bare-lf' | 'bare-cr' | 'nul'

/** `text`: inside a line; `cr`: inside a line, after CR; `start`, `dot`, `dot-cr`: at the start of a line, after what. */
type State = 'start' | 'text' | 'cr' | 'dot' | 'dot-cr' | 'end'

/** Receives decoded content. `lineEnd`: the piece ends a line, and the byte after `to` is the CR in place of which an
 *  LF is to be stored. */
export interface DataSink {
  write(chunk: Buffer, from: number, to: number, lineEnd: boolean): void
}

/** Turns content as a client sends it into content as we keep it. */
export interface ContentDecoder {
  readonly bytes: number
  readonly header: HeaderWatch
  readonly fault: DataFault | undefined
  readonly ended: boolean
  push(chunk: Buffer, from: number, sink: DataSink): number
}

export class DataDecoder implements ContentDecoder {
  /** Decoded bytes so far, whether or not they were kept. */
  bytes = 0
  readonly header: HeaderWatch = new HeaderWatch()
  fault: DataFault | undefined
  private state: State = 'start'

  get ended(): boolean {
    return this.state === 'end'
  }

  /** Decodes from `from` on and returns where it stopped: after the end, or the end of the chunk, or at a fault. */
  push(chunk: Buffer, from: number, sink: DataSink): number {
    // Searching a flat string costs a third of searching a Buffer, and there are two searches a line.
    const latin1 = chunk.toString('latin1')
    const nul = latin1.indexOf('\0', from)
    let at = from
    while (at < chunk.length && this.state !== 'end' && this.fault === undefined) {
      switch (this.state) {
        case 'start':
          if (chunk[at] === dot) {
            this.state = 'dot'
            at++
          } else at = this.text(chunk, latin1, at, nul, sink)
          break
        case 'text':
          at = this.text(chunk, latin1, at, nul, sink)
          break
        case 'cr':
          if (chunk[at] === lf) at = this.endLine(at, sink)
          else this.fault = 'bare-cr'
          break
        case 'dot':
          if (chunk[at] === cr) {
            this.state = 'dot-cr'
            at++
          } else at = this.text(chunk, latin1, at, nul, sink)
          break
        case 'dot-cr':
          if (chunk[at] === lf) {
            this.state = 'end'
            at++
          } else this.fault = 'bare-cr'
          break
      }
    }
    return at
  }

  /** The rest of a line, or as much of it as there is. */
  private text(chunk: Buffer, latin1: ByteString, from: number, nul: number, sink: DataSink): number {
    const feed = latin1.indexOf('\n', from)
    const stop = feed < 0 ? chunk.length : feed
    const carriage = latin1.indexOf('\r', from)
    const to = carriage < 0 || carriage > stop ? stop : carriage
    // In the order of the bytes, so that it does not matter how the chunks were cut.
    if (nul >= from && nul < to) return this.fail('nul', nul)
    if (to < stop - 1) return this.fail('bare-cr', to)
    if (to === stop && feed >= 0) return this.fail('bare-lf', feed)
    this.bytes += to - from
    this.header.text(chunk, from, to)
    if (feed >= 0) {
      this.finishLine()
      sink.write(chunk, from, to, true)
      return feed + 1
    }
    if (to > from) sink.write(chunk, from, to, false)
    this.state = to < stop ? 'cr' : 'text'
    return chunk.length
  }

  /** The LF after a CR that ended the chunk before. */
  private endLine(at: number, sink: DataSink): number {
    this.finishLine()
    sink.write(lineEnd, 0, 0, true)
    return at + 1
  }

  private finishLine(): void {
    this.bytes++
    this.header.lineEnd()
    this.state = 'start'
  }

  private fail(fault: DataFault, at: number): number {
    this.fault = fault
    return at
  }
}

const lineEnd = Buffer.from('\r')

/** A line that begins so, in lower case, is a trace of a host that the message passed: no colon needed, as in qmail. */
export function isHop(beginning: ByteString): boolean {
  return beginning.startsWith('received') || beginning.startsWith('delivered')
}

/** Counts what loops and header bombs are made of, until the first empty line, even where that is the first line of all:
 *  a caller that skips it to find a header behind it counts for itself. */
export class HeaderWatch {
  /** Lines that begin with `received` or `delivered` in any case: no colon needed, as in qmail. */
  hops = 0
  fields = 0
  bytes = 0
  private inHeader = true
  /** The first bytes of the line, as far as they are needed: chunks may cut a line anywhere. */
  private beginning = ''
  private lineBytes = 0

  get tooBig(): boolean {
    return this.bytes > headerBytesMax || this.fields > headerFieldsMax
  }

  text(chunk: Buffer, from: number, to: number): void {
    if (!this.inHeader) return
    const missing = longestName - this.beginning.length
    if (missing > 0 && to > from) this.look(chunk, from, Math.min(to, from + missing))
    this.lineBytes += to - from
    this.bytes += to - from
  }

  lineEnd(): void {
    if (!this.inHeader) return
    if (this.lineBytes === 0) this.inHeader = false
    else this.decide()
    this.beginning = ''
    this.lineBytes = 0
    this.bytes++
  }

  private look(chunk: Buffer, from: number, to: number): void {
    this.beginning += chunk.toString('latin1', from, to)
  }

  private decide(): void {
    const first = this.beginning.charCodeAt(0)
    if (first !== space && first !== tab) this.fields++
    // r, R, d, D: most lines end here.
    const letter = first | 32
    if (letter !== 114 && letter !== 100) return
    if (isHop(this.beginning.toLowerCase())) this.hops++
  }
}

const longestName = 'delivered'.length
