import assert from 'node:assert/strict'
import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { test } from 'node:test'
import { StsPolicies } from '../../clients/mta-sts/policies.ts'
import { homeAt } from '../../stores/home/layout.ts'
import { KeptPolicies } from '../../stores/mta-sts/kept-policies.ts'
import { realClock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { realRandom } from '../../system/random.ts'
import { refreshOnce } from './policy-refresh.ts'

const day = 86_400_000
const text = 'version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 31557600\n'

test('a turn asks for what is a day old, and forgets what nobody uses or reads', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'quaver-refresh-'))
  t.after(() => rm(path, { recursive: true }))
  await mkdir(homeAt(path).mtaSts)
  const kept = new KeptPolicies(realFiles, homeAt(path))
  const now = Date.now()
  await kept.write('new.example', { id: '1', fetchedAt: now, usedAt: now, text })
  await kept.write('old.example', { id: '1', fetchedAt: now - 2 * day, usedAt: now - 2 * day, text })
  await kept.write('unused.example', { id: '1', fetchedAt: now - day, usedAt: now - 91 * day, text })
  const asked: string[] = []
  const log = (): void => undefined
  const policies = new StsPolicies({
    store: kept,
    clock: realClock,
    log,
    txt: async (name) => {
      asked.push(name)
      return { kind: 'none' }
    },
    web: {
      addresses: async () => ({ kind: 'hard' }),
      isReachable: () => true,
      context: () => createSecureContext({}),
    },
  })
  await refreshOnce({ policies, kept, clock: realClock, random: realRandom, log })
  assert.deepEqual(asked, ['_mta-sts.old.example'])
  assert.deepEqual((await kept.domains()).sort(), ['new.example', 'old.example'])
  const gone = new KeptPolicies(realFiles, homeAt(join(path, 'nowhere')))
  const logged: string[] = []
  const parts = { policies, kept: gone, clock: realClock, random: realRandom }
  await refreshOnce({ ...parts, log: (line) => void logged.push(line) })
  assert.match(logged[0] ?? '', /^warning: MTA-STS policies cannot be refreshed: ENOENT/)
})
