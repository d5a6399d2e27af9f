/** A POP3 session whose client went out of reach gives way to the next login of its account. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { limits } from '../../src/programs/local/pop3/limits.ts'
import { FakeClock, opened, pop3Rig } from '#test/kit/pop3-rig.ts'

const body = 'Subject: x\n\none\n'
const three = { 'new/1500000000.a': body, 'cur/1500000001.b:2,S': body, 'new/1500000002.c': body }

describe('POP3 session', () => {
  it('gives way to a new one of the account when its client was silent for half a minute, and deletes nothing', async (test) => {
    const rig = await pop3Rig(test, three)
    const clock = new FakeClock()
    const first = await opened(await rig.open({ clock }))
    assert.equal(await first.command('DELE 1'), '+OK ')
    clock.pass(limits.silenceMillisecondsMax - 1)
    assert.match(await (await rig.open({ clock })).rest(), /^-ERR \[IN-USE\] /)
    clock.pass(1)
    const second = await opened(await rig.open({ clock }))
    await first.session.ended
    assert.equal(await second.command('STAT'), '+OK 3 48')
    assert.deepEqual(await rig.listing(), Object.keys(three).sort())
    assert.match(rig.log.at(-1) ?? '', /end replaced$/)
    // Not to one of another account, and never while it is heard.
    clock.pass(limits.silenceMillisecondsMax)
    assert.match(await (await rig.open({ clock }, 'ann@example.org')).rest(), /^-ERR \[IN-USE\] /)
    assert.equal(await second.command('NOOP'), '+OK ')
    assert.match(await (await rig.open({ clock })).rest(), /^-ERR \[IN-USE\] /)
  })

  it('gives way, too, when its client takes no more of a message', async (test) => {
    const rig = await pop3Rig(test, { 'new/1500000000.a': Buffer.alloc(4 * 1024 * 1024, 'x\n') })
    const clock = new FakeClock()
    const first = await opened(await rig.open({ clock }))
    first.socket.pause()
    first.raw('RETR 1\r\n')
    while (first.far.writableLength === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    clock.pass(limits.silenceMillisecondsMax)
    await opened(await rig.open({ clock }))
    await first.session.ended
  })
})
