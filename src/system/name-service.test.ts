import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import type { Account } from './accounts.ts'
import { NameService } from './name-service.ts'

const joe: Account = { name: 'joe', uid: 5001, gid: 5001, home: '/home/joe', shell: '' }

function world(answer: () => Promise<readonly Account[]> = () => Promise.resolve([joe])) {
  const clock = new FakeClock()
  const asked: string[] = []
  const service = new NameService(clock, (names) => {
    asked.push(names.join(' '))
    return answer()
  })
  return { clock, asked, service }
}

describe('the name service', () => {
  it('is asked once for all names of a recipient, and remembers also who is not there', async () => {
    const { clock, asked, service } = world()
    const names = ['joe-a-b-c', 'joe-a-b', 'joe-a', 'joe']
    await service.ask(names)
    assert.deepEqual(asked, ['joe-a-b-c joe-a-b joe-a joe'])
    assert.deepEqual(await Promise.all(names.map((name) => service.find(name))), [undefined, undefined, undefined, joe])
    await service.ask(['joe-a', 'joe', 'mary'])
    assert.deepEqual(asked.slice(1), ['mary'])
    clock.advance(15_000)
    await service.find('joe')
    assert.deepEqual(asked.slice(2), ['joe'])
  })

  it('a number is not a name', async () => {
    const { service } = world()
    assert.equal(await service.find('5001'), undefined)
  })

  it('trouble is passed on, and not remembered', async () => {
    let isAway = true
    const { service } = world(() => (isAway ? Promise.reject(new Error('timed out')) : Promise.resolve([joe])))
    await assert.rejects(service.ask(['joe', 'mary']), /timed out/)
    isAway = false
    assert.equal(await service.find('joe'), joe)
  })

  it('what many ask is asked together, and by itself again where that fails', async () => {
    const { asked, service } = world(() =>
      asked.length === 1 ? Promise.reject(new Error('one of them')) : Promise.resolve([joe]),
    )
    const found = await Promise.all([service.find('mary'), service.find('joe'), service.find('mary')])
    assert.deepEqual(found.slice(0, 2), [undefined, joe])
    assert.deepEqual(asked.toSorted(), ['joe', 'mary', 'mary joe'])
  })

  it('few are asked at once, and few wait', async () => {
    let answer: (accounts: readonly Account[]) => void = () => undefined
    const one = new Promise<readonly Account[]>((resolve) => (answer = resolve))
    const { asked, service } = world(() => one)
    const all = Array.from({ length: 64 * 210 }, (_, n) => service.find(`u${n}`).catch((error: unknown) => error))
    const found = Promise.all(all)
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(asked.length, 4)
    answer([])
    const refused = (await found).filter((said) => said instanceof Error)
    assert.equal((await service.find('later'))?.name, undefined)
    assert.equal(refused.length, 64 * 6)
  })
})
