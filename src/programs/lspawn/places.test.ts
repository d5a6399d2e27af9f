import assert from 'node:assert/strict'
import { it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import { placeLimits, Places } from './places.ts'

const gibibyte: number = 1024 ** 3

/** All that promises have to do. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

it('how many there may be follows from the memory', () => {
  const resident = [0.25, 1, 4, 64].map((size) => placeLimits(size * gibibyte, 2).residentMax)
  assert.deepEqual(resident, [4, 5, 22, 100])
  const running = [0.25, 1, 4, 64].map((size) => placeLimits(size * gibibyte, 2).runningMax)
  assert.deepEqual(running, [12, 12, 45, 728])
})

it('sixty at once are started a few at a time, and no more stay than there is room for', async () => {
  const clock = new FakeClock()
  let asked = 0
  const places = new Places(clock, { startsMax: 3, residentMax: 10, runningMax: 20 }, (count) => (asked += count))
  const serving: (() => void)[] = []
  const takes = Array.from({ length: 60 }, () => places.take().then((serves) => serving.push(serves)))
  let served = 0
  const serve = async (): Promise<void> => {
    await turn()
    for (; served < serving.length; served++) serving[served]?.()
    await turn()
  }
  await turn()
  assert.equal(serving.length, 3)
  for (let round = 0; round < 6; round++) await serve()
  assert.equal(serving.length, 10)
  assert.ok(asked > 0)
  clock.advance(2_000)
  for (let round = 0; round < 20; round++) await serve()
  assert.equal(serving.length, 20)
  assert.equal(places.isFull, true)
  while (serving.length < 60) {
    places.giveBack()
    await serve()
  }
  await Promise.all(takes)
})

it('a start that somebody holds up holds up nobody for long; without a place in time there is none', async () => {
  const clock = new FakeClock()
  const places = new Places(clock, { startsMax: 1, residentMax: 1, runningMax: 2 }, () => undefined)
  await places.take()
  const second = places.take()
  const third = assert.rejects(places.take(), /no place for another process/)
  clock.advance(2_000)
  await second
  clock.advance(58_000)
  await third
})

it('messages take turns: one user does not wait behind another’s mail to sixty', async () => {
  const places = new Places(new FakeClock(), { startsMax: 2, residentMax: 100, runningMax: 100 }, () => undefined)
  const started: string[] = []
  const serving: (() => void)[] = []
  const take = (name: string, messageId?: number): void =>
    void places.take(messageId).then((serves) => {
      started.push(name)
      serving.push(serves)
    })
  for (let count = 0; count < 60; count++) take('list', 1)
  take('one', 2)
  take('login')
  take('one', 3)
  take('two', 4)
  take('two', 4)
  for (let round = 0; round < 8; round++) {
    await turn()
    serving.shift()?.()
  }
  await turn()
  assert.deepEqual(started, ['list', 'list', 'list', 'one', 'login', 'one', 'two', 'list', 'two', 'list'])
})
