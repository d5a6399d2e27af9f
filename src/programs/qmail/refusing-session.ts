/** rblsmtpd's own SMTP: accepts commands that move no mail, and refuses all others with the same reply. */
import { fromBuffer } from '../../base/byte-string.ts'
import { parseCommand } from '../../protocols/smtp/command.ts'
import { formatReply, type Reply } from '../../protocols/smtp/replies.ts'
import type { StreamSession } from '../../servers/descriptors/session-on-stream.ts'
import type { DialoguePort } from '../../servers/listener/dialogue.ts'
import type { Clock } from '../../system/clock.ts'

const host = 'rblsmtpd.local'
const harmless: ReadonlySet<string> = new Set(['helo', 'ehlo', 'mail', 'rset', 'noop'])
const lineBytesMax = 4096

export class RefusingSession implements StreamSession {
  readonly pendingBytes = 0
  private readonly reply: Reply
  private readonly until: number
  private readonly clock: Clock
  private readonly port: DialoguePort
  private line = ''
  private ended = false

  /** `milliseconds`: for the whole session. */
  constructor(reply: Reply, milliseconds: number, clock: Clock, port: DialoguePort) {
    this.reply = reply
    this.until = clock.monotonic() + milliseconds
    this.clock = clock
    this.port = port
  }

  greet(): void {
    this.port.send(`220 ${host}\r\n`)
  }

  receive(bytes: Buffer): void {
    const lines = (this.line + fromBuffer(bytes)).split('\n')
    this.line = lines.pop() ?? ''
    for (const line of lines) if (!this.ended) this.answer(line)
    if (this.line.length > lineBytesMax) this.end('refused')
  }

  receiveEnd(): void {
    this.end('goodbye')
  }

  tick(): void {
    if (this.clock.monotonic() > this.until) this.end('refused')
  }

  abort(): void {
    this.ended = true
  }

  private answer(line: string): void {
    const { verb } = parseCommand(line.endsWith('\r') ? line.slice(0, -1) : line)
    if (verb === 'quit') {
      this.port.send(`221 ${host}\r\n`)
      this.end('goodbye')
    } else this.port.send(harmless.has(verb) ? `250 ${host}\r\n` : formatReply(this.reply, false))
  }

  private end(how: 'goodbye' | 'refused'): void {
    if (this.ended) return
    this.ended = true
    this.port.close(how)
  }
}
