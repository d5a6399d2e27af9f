/** What a POP3 client asks for after login, and what it gets (RFC 1939 §5 and §7), as qmail-pop3d answers.
 *  Knows:  commands, marks, the highest message that was marked. Never: removes anything before QUIT.
 *  Fails:  in qmail's words; a message that cannot be read to its end ends the session in the middle of it. */
import type { ByteString } from '../../../base/byte-string.ts'
import { formatCapabilities } from '../../../protocols/pop3/capabilities.ts'
import { type Command, leadingNumber } from '../../../protocols/pop3/command.ts'
import { MessageEncoder } from '../../../protocols/pop3/message-encoder.ts'
import { endOfListing, errorReply, errors, okReply, okWith } from '../../../protocols/pop3/replies.ts'
import type { Maildrop, OpenedMessage } from '../../../stores/maildir/maildrop.ts'
import { nextTurn } from '../../../system/spool.ts'
import type { Dialogue } from './dialogue.ts'
import type { Limits } from './limits.ts'

/** Of a listing, before it is sent and others work: some 16 KiB. */
const linesAtOnce = 256

export class Transaction {
  private readonly maildrop: Maildrop
  private readonly dialogue: Dialogue
  private readonly limits: Limits
  private highestMarked = 0
  /** Messages sent, whole or in part. */
  private sentCount = 0

  constructor(maildrop: Maildrop, dialogue: Dialogue, limits: Limits) {
    this.maildrop = maildrop
    this.dialogue = dialogue
    this.limits = limits
  }

  get sent(): number {
    return this.sentCount
  }

  /** Any command but QUIT. */
  async answer({ verb, argument }: Command): Promise<void> {
    switch (verb) {
      case 'stat':
        await this.maildrop.measure()
        await this.dialogue.say(okWith(`${this.maildrop.count} ${this.maildrop.bytes}`))
        return
      case 'list':
        await this.maildrop.measure()
        return await this.list(argument, (index) => String(this.maildrop.bytesOf(index)))
      case 'uidl':
        return await this.list(argument, (index) => this.maildrop.uniqueId(index))
      case 'retr':
      case 'top':
        return await this.retrieve(argument)
      case 'dele':
        return await this.withMessage(argument, async (index) => {
          this.maildrop.mark(index)
          this.highestMarked = Math.max(this.highestMarked, index + 1)
          await this.dialogue.say(okReply)
        })
      case 'rset':
        this.maildrop.unmarkAll()
        this.highestMarked = 0
        await this.dialogue.say(okReply)
        return
      case 'last':
        await this.dialogue.say(okWith(String(this.highestMarked)))
        return
      // RFC 6856: content goes out as it is stored in either mode.
      case 'utf8':
      case 'noop':
        await this.dialogue.say(okReply)
        return
      case 'capa':
        await this.dialogue.say(formatCapabilities(undefined))
        return
      default:
        await this.dialogue.say(errorReply(errors.unimplemented))
    }
  }

  private async withMessage(
    argument: ByteString,
    act: (index: number, rest: ByteString) => Promise<void>,
  ): Promise<void> {
    const number = leadingNumber(argument)
    const error = this.mistakeIn(number?.value)
    if (number === undefined || error !== undefined) await this.dialogue.say(errorReply(error ?? errors.syntax))
    else await act(number.value - 1, number.rest)
  }

  private mistakeIn(number: number | undefined): string | undefined {
    if (number === undefined) return errors.syntax
    if (number === 0) return errors.countedFromOne
    if (number > this.maildrop.count) return errors.notThatMany
    return this.maildrop.isMarked(number - 1) ? errors.alreadyDeleted : undefined
  }

  private async list(argument: ByteString, describe: (index: number) => ByteString): Promise<void> {
    const { maildrop, dialogue } = this
    if (argument !== '') {
      await this.withMessage(argument, async (index) => {
        await dialogue.say(okWith(`${index + 1} ${describe(index)}`))
      })
      return
    }
    let text = okReply
    for (let index = 0; index < maildrop.count; index++) {
      if (index % linesAtOnce === linesAtOnce - 1) {
        // The client is gone: nobody reads the rest.
        if (!(await dialogue.say(text))) return
        text = ''
        await nextTurn()
      }
      if (!maildrop.isMarked(index)) text += `${index + 1} ${describe(index)}\r\n`
    }
    await dialogue.say(text + endOfListing)
  }

  /** RETR and TOP are the same: without a second number the whole message is sent. */
  private async retrieve(argument: ByteString): Promise<void> {
    await this.withMessage(argument, async (index, rest) => {
      const message = await this.maildrop.openMessage(index)
      if (message === undefined) {
        await this.dialogue.say(errorReply(errors.cannotOpen))
        return
      }
      try {
        await this.dialogue.say(okReply)
        await this.send(message, new MessageEncoder(leadingNumber(rest)?.value))
        this.sentCount++
      } finally {
        message.close()
      }
    })
  }

  private async send(message: OpenedMessage, encoder: MessageEncoder): Promise<void> {
    const buffer = Buffer.allocUnsafe(Math.min(this.limits.readBytes, Math.max(message.bytes, 1)))
    // What grows while it is read is sent as it was when it was opened.
    for (let position = 0; position < message.bytes && !encoder.isCut; ) {
      let count: number
      try {
        count = await message.read(buffer, position)
      } catch {
        // A dot would say that this was all.
        this.dialogue.destroy()
        return
      }
      if (count === 0) break
      const used = Math.min(count, message.bytes - position)
      position += used
      if (!(await this.dialogue.send(encoder.encode(buffer.subarray(0, used))))) return
    }
    await this.dialogue.send(encoder.end())
  }
}
