/** kill -9 of any process, at a random moment, under load: after that every message that was answered 250 is in the
 *  Maildir or at the next host, whole, and nothing else is to be seen. QUAVER_SEED repeats a run's moments. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Instance } from '#test/kit/instance.ts'
import { Sink } from '#test/kit/sink.ts'
import { Load, outcome, relayDomain } from './load.ts'

const connections = 20
const killsPerRound = 2
const quietMilliseconds = { min: 150, max: 700 } as const
const drainMillisecondsMax = 60_000

const seed = Number(process.env['QUAVER_SEED'] ?? randomInt(2 ** 31))

describe(`kill -9 under load, seed ${seed}`, { concurrency: false }, () => {
  const random = seeded(seed)
  let instance: Instance
  let sink: Sink
  before(async () => {
    sink = await Sink.listen()
    instance = await Instance.start({
      relayDomains: [relayDomain],
      files: { 'control/smtproutes': `${relayDomain}:127.0.0.1:${sink.port}\n` },
    })
  })
  after(async () => {
    await instance.end()
    await sink.close()
  })

  for (const victim of ['smtpd', 'queue', 'lspawn', 'local', 'remote', 'policy', 'exec', 'start', 'all']) {
    it(victim, async (t) => {
      const inMaildirBefore = (await outcome(instance, sink)).whole.size
      const load = new Load(() => instance.smtpPort, connections, firstNumberOf(victim))
      try {
        for (let kills = 0; kills < killsPerRound; kills++) {
          await pause(random(quietMilliseconds.min, quietMilliseconds.max))
          if (victim === 'all') await instance.killAll()
          else await instance.kill(victim)
          if (victim === 'start' || victim === 'all') await instance.restart()
        }
        await pause(random(quietMilliseconds.min, quietMilliseconds.max))
      } finally {
        await load.stop()
      }
      await instance.drained(drainMillisecondsMax)
      const { whole, broken } = await outcome(instance, sink)
      const lost = [...load.acknowledged].filter((number) => !whole.has(number))
      t.diagnostic(`${load.acknowledged.size} acknowledged, ${whole.size - inMaildirBefore} delivered, seed ${seed}`)
      assert.ok(load.acknowledged.size > 0, 'the load got nothing through')
      assert.deepEqual(lost, [], 'acknowledged and gone')
      assert.deepEqual(broken, [], 'seen by a reader, and not whole')
    })
  }
})

/** Each round has its own numbers. */
function firstNumberOf(victim: string): number {
  return (victim.charCodeAt(0) * 256 + victim.charCodeAt(1)) * 1_000_000 + victim.length * 100_000
}

/** mulberry32: whole numbers from min to max, the same for the same seed. */
function seeded(start: number): (min: number, max: number) => number {
  let state = start
  return (min, max) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return min + (((mixed ^ (mixed >>> 14)) >>> 0) % (max - min + 1))
  }
}
