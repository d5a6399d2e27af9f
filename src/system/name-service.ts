/** Names of accounts that only the machine's name service knows. They come from the network, and each question costs a
 *  process: few at once, few that wait, and what was said is remembered for a while, that there is no such account too.
 *  Fails:  rejects when nobody can tell now, or too many ask. */
import type { Account } from './accounts.ts'
import type { Clock } from './clock.ts'
import { Remembered } from './remembered.ts'
import { Slots } from './slots.ts'

const rememberedLimits = { milliseconds: 15_000, countMax: 10_000 } as const
const slotLimits = { atOnceMax: 4, waitingMax: 200 } as const
const waitMillisecondsMax = 10_000

export class NameService {
  private readonly query: (names: readonly string[]) => Promise<readonly Account[]>
  private readonly answers: Remembered<Account | undefined>
  private readonly slots: Slots

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

  private async queryInTurn(names: readonly string[]): Promise<ReadonlyMap<string, Account>> {
    const found = await this.slots.run(() => this.query(names), { millisecondsMax: waitMillisecondsMax })
    if (found === 'full') throw new Error('too many questions to the name service at once')
    // A number is taken for a uid: only who bears the name is meant.
    return new Map(found.map((account) => [account.name, account]))
  }
}
