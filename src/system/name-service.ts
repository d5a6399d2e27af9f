/** Names of accounts that only the machine's name service knows. They come from the network, and each question costs a
 *  process: few at once, few that wait, and answers are remembered for a while, also that there is no such account.
 *  Fails:  rejects when the name service fails, or too many ask. */
import type { Account } from './accounts.ts'
import type { Clock } from './clock.ts'
import { Remembered } from './remembered.ts'
import { Slots } from './slots.ts'

const rememberedLimits = { milliseconds: 15_000, countMax: 10_000 } as const
const slotLimits = { atOnceMax: 4, waitingMax: 200 } as const
/** In one question: a mail to a thousand unknown names must not cost a thousand processes, nor keep others waiting for
 *  them. */
const namesTogetherMax = 64
const waitMillisecondsMax = 10_000

export class NameService {
  private readonly query: (names: readonly string[]) => Promise<readonly Account[]>
  private readonly answers: Remembered<Account | undefined>
  private readonly slots: Slots
  /** A question that waits for its turn, and takes more names until then. */
  private gathering: { readonly names: Set<string>; readonly answer: Promise<ReadonlyMap<string, Account>> } | undefined

  constructor(clock: Clock, query: (names: readonly string[]) => Promise<readonly Account[]>) {
    this.query = query
    this.answers = new Remembered(clock, rememberedLimits)
    this.slots = new Slots(slotLimits, clock)
  }

  async find(name: string): Promise<Account | undefined> {
    return await this.answers.get(name, async () => (await this.queryInTurn([name])).get(name))
  }

  /** All that are not remembered, in one question. */
  async ask(names: readonly string[]): Promise<void> {
    const missing: string[] = []
    // It begins when the names are complete.
    const asked = Promise.resolve().then(() => (missing.length === 0 ? new Map() : this.queryInTurn(missing)))
    const answers = names.map((name) =>
      this.answers.get(name, async () => {
        missing.push(name)
        return (await asked).get(name)
      }),
    )
    await Promise.all(answers)
  }

  /** Together with others' names. If that fails, these are asked again alone: another's name may be at fault. */
  private async queryInTurn(names: readonly string[]): Promise<ReadonlyMap<string, Account>> {
    const open = this.gathering
    const together = open !== undefined && open.names.size + names.length <= namesTogetherMax ? open : this.gather()
    for (const name of names) together.names.add(name)
    try {
      return await together.answer
    } catch (error) {
      if (together.names.size === names.length) throw error
      return await this.askNow(() => names)
    }
  }

  private gather(): NonNullable<NameService['gathering']> {
    const names = new Set<string>()
    const close = (): void => {
      if (this.gathering === gathering) this.gathering = undefined
    }
    const answer = this.askNow(() => {
      close()
      return [...names]
    }).finally(close)
    const gathering = { names, answer }
    this.gathering = gathering
    return gathering
  }

  private async askNow(names: () => readonly string[]): Promise<ReadonlyMap<string, Account>> {
    const found = await this.slots.run(() => this.query(names()), { millisecondsMax: waitMillisecondsMax })
    if (found === 'full') throw new Error('too many questions to the name service at once')
    // getent takes a number for a uid: only an account with that very name counts.
    return new Map(found.map((account) => [account.name, account]))
  }
}
