/** Answers `greylist` from the store, which is opened at the first question: a host without greylisting has none.
 *  Fails:  throws if the store cannot be used; the caller gets no answer, and the mail is not delayed. */
import { describeError } from '../../base/outcome.ts'
import type { GreylistAnswer, GreylistQuestion } from '../../contracts/policy.ts'
import {
  greylistClient,
  greylistLine,
  greylistRecipient,
  greylistSender,
  evaluate,
} from '../../protocols/greylist/triple.ts'
import { GreylistStore } from '../../stores/greylist/greylist-store.ts'
import type { Clock } from '../../system/clock.ts'
import { SmallDatabaseError } from '../../system/small-database.ts'
import { expireAgainMilliseconds, expireMilliseconds, storeRetryMilliseconds } from './limits.ts'

export interface GreylistParts {
  /** HOME/greylist. */
  readonly directory: string
  readonly clock: Clock
  readonly onTrouble: (topic: string, text: string) => void
}

export class GreylistCheck {
  private readonly parts: GreylistParts
  private store: GreylistStore | undefined
  private retryAt = Number.NEGATIVE_INFINITY
  private trouble = ''
  private cancelExpiry = (): void => undefined

  constructor(parts: GreylistParts) {
    this.parts = parts
  }

  answer(question: GreylistQuestion): GreylistAnswer {
    const store = this.store ?? this.open()
    try {
      return this.evaluate(store, question)
    } catch (error) {
      if (error instanceof SmallDatabaseError && error.damaged) this.beginAfresh(error.message)
      throw error
    }
  }

  close(): void {
    this.cancelExpiry()
    this.store?.close()
    this.store = undefined
  }

  private evaluate(store: GreylistStore, question: GreylistQuestion): GreylistAnswer {
    const { ip, sender, recipient } = question
    const key = { ip: greylistClient(ip), sender: greylistSender(sender), recipient: greylistRecipient(recipient) }
    const isBounce = sender === ''
    const before = store.get(key)
    const evaluated = evaluate(before, this.parts.clock.now(), question)
    const { state, remembered } = evaluated
    if (!question.onlyLook) {
      // A bounce or a verification comes once: its triple is not needed after it was accepted.
      if (state === 'known' && isBounce) store.remove(key)
      else store.put(key, remembered, before === undefined)
    }
    return {
      kind: 'greylist',
      state,
      refuseAtData: isBounce && state !== 'known',
      untilMs: question.onlyLook && state === 'known' ? (before?.expiresMs ?? evaluated.untilMs) : evaluated.untilMs,
      rule: state === 'known' ? 'GL_ACCEPT_GOOD' : 'GL_MIN_REJECT',
      logText: greylistLine(state, ip, sender, recipient),
      freshMilliseconds: 0,
    }
  }

  private open(): GreylistStore {
    const now = this.parts.clock.monotonic()
    if (now < this.retryAt) throw new Error(this.trouble)
    return this.opening(() => GreylistStore.open(this.parts.directory, (text) => this.alert(text)))
  }

  /** The question that found the damage gets no answer; the next one finds an empty store. */
  private beginAfresh(reason: string): void {
    try {
      this.close()
    } catch {
      // It is damaged, and not used any more.
      this.store = undefined
    }
    try {
      this.opening(() => GreylistStore.afresh(this.parts.directory, reason, (text) => this.alert(text)))
    } catch {
      // `opening` has reported the error and remembers it.
    }
  }

  private opening(open: () => GreylistStore): GreylistStore {
    try {
      this.store = open()
    } catch (error) {
      this.trouble = describeError(error)
      this.retryAt = this.parts.clock.monotonic() + storeRetryMilliseconds
      this.alert(`${this.trouble}; nobody is greylisted meanwhile`)
      throw error
    }
    this.expireIn(expireAgainMilliseconds)
    return this.store
  }

  private expireIn(milliseconds: number): void {
    this.cancelExpiry()
    this.cancelExpiry = this.parts.clock.after(milliseconds, () => this.expire())
  }

  private expire(): void {
    try {
      const more = this.store?.expire(this.parts.clock.now()) === true
      this.expireIn(more ? expireAgainMilliseconds : expireMilliseconds)
    } catch (error) {
      if (error instanceof SmallDatabaseError && error.damaged) this.beginAfresh(error.message)
      else {
        this.alert(describeError(error))
        this.expireIn(expireMilliseconds)
      }
    }
  }

  private alert(text: string): void {
    this.parts.onTrouble(text, text)
  }
}
