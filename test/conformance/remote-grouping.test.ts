/** Refusals that only mean how many recipients we name together, or how long we have used a connection: who is left asks
 *  again at once, on the same connection or on a fresh one, and there is an end to it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RemoteRig } from '../kit/remote-rig.ts'
import { type Peer, type Script, ScriptedServer } from '../kit/scripted-server.ts'
import { acceptAll, greet, takeMessage } from '../kit/scripts.ts'

/** What it says to a recipient, by its local part and those accepted in this transaction before. */
type ToRecipient = (name: string, before: readonly string[]) => string
/** What it says to DATA and the final dot. */
type ToContent = (accepted: readonly string[]) => string

interface Taken {
  readonly transactions: readonly (readonly string[])[]
  readonly letters: string
  readonly texts: readonly string[]
  readonly connections: number
}

const taken = '250 taken\r\n'

/** Answers any number of transactions on one connection, pipelined or not. */
function server(toRecipient: ToRecipient, transactions: string[][], toData: ToContent, toContent: ToContent): Script {
  return async (peer: Peer) => {
    await greet(peer, 'PIPELINING')
    let accepted: string[] = []
    for (let line = await peer.line(); line !== ''; line = await peer.line()) {
      if (line.startsWith('MAIL')) accepted = []
      const name = /^RCPT TO:<(.*)@/.exec(line)?.[1]
      if (name !== undefined) {
        const answer = toRecipient(name, accepted)
        peer.send(`${answer}\r\n`)
        if (answer.startsWith('2')) accepted.push(name)
        if (answer.startsWith('421')) return
      } else if (line === 'DATA\r\n') {
        const go = accepted.length === 0 ? '503 nobody\r\n' : toData(accepted)
        peer.send(go)
        if (!go.startsWith('354')) continue
        await peer.content()
        const answer = toContent(accepted)
        peer.send(answer)
        if (answer.startsWith('2')) transactions.push(accepted)
      } else peer.send('250 ok\r\n')
    }
  }
}

async function send(
  count: number,
  toRecipient: ToRecipient,
  toData: ToContent = () => '354 go\r\n',
  toContent: ToContent = () => taken,
): Promise<Taken> {
  const transactions: string[][] = []
  const peerScript = server(toRecipient, transactions, toData, toContent)
  const scripted = await ScriptedServer.listen([peerScript])
  const rig = new RemoteRig(`127.0.0.1:${scripted.port}`)
  const recipients = Array.from({ length: count }, (_, n) => `r${n}@t.example`)
  const reports = await rig.deliver({ recipients })
  rig.close()
  await scripted.close()
  return {
    transactions,
    letters: reports.map(({ letter }) => letter).join(''),
    texts: reports.map(({ text }) => text),
    connections: scripted.peers.length,
  }
}

describe('a server that takes few recipients at once', () => {
  for (const refusal of [
    '452 4.5.3 too many recipients',
    '452 enough',
    '552 too many recipients',
    '552 storage exceeded',
    '550 5.5.3 no more',
    '451 4.4.0 try the rest later',
    '450 only three recipients at a time',
  ])
    it(`${refusal}: the rest follows at once, on the same connection`, async () => {
      const { transactions, letters, connections } = await send(8, (_, before) =>
        before.length < 3 ? '250 ok' : refusal,
      )
      assert.equal(letters, 'K'.repeat(8))
      assert.deepEqual(
        transactions.flat().toSorted(),
        Array.from({ length: 8 }, (_, n) => `r${n}`),
      )
      assert.ok(transactions.length <= 4, JSON.stringify(transactions))
      assert.equal(connections, 1)
    })
  it('one region a transaction', async () => {
    const { transactions, letters } = await send(9, (name, before) => {
      const region = Number(name.slice(1)) % 3
      const open = before[0] === undefined ? region : Number(before[0].slice(1)) % 3
      return region === open ? '250 ok' : '451 4.3.0 one region a transaction'
    })
    assert.equal(letters, 'K'.repeat(9))
    assert.equal(transactions.flat().length, 9)
    assert.ok(transactions.length <= 5, JSON.stringify(transactions))
  })
  it('421 on the one too many: as many as it took, on new connections', async () => {
    const { letters, transactions } = await send(5, (_, before) =>
      before.length < 2 ? '250 ok' : '421 4.5.3 too many recipients',
    )
    assert.equal(letters, 'K'.repeat(5))
    assert.equal(transactions.flat().length, 5)
  })
  for (const at of ['DATA', 'the final dot'])
    it(`and takes back those whom it took, at ${at}`, async () => {
      const tooMany: ToContent = (accepted) => (accepted.length > 2 ? '554 too many recipients\r\n' : '')
      const { letters, transactions } = await send(
        5,
        () => '250 ok',
        (accepted) => (at === 'DATA' && tooMany(accepted)) || '354 go\r\n',
        (accepted) => tooMany(accepted) || taken,
      )
      assert.equal(letters, 'K'.repeat(5))
      assert.equal(transactions.flat().length, 5)
    })
})

describe('there is an end to it', () => {
  it('who is refused alone is refused', async () => {
    const { letters, texts } = await send(3, (name) => (name === 'r0' ? '250 ok' : '552 mailbox full'))
    assert.equal(letters, 'KDD')
    assert.equal(
      texts[1],
      '127.0.0.1 does not like recipient.\nRemote host said: 552 mailbox full\nGiving up on 127.0.0.1.\n',
    )
  })
  it('what speaks of the recipient is not asked again', async () => {
    const asked: string[] = []
    const answers: Record<string, string> = {
      r1: '552 5.2.2 mailbox full',
      r2: '450 mailbox busy',
      r3: '451 4.7.1 greylisted',
      r4: '550 no such user',
    }
    const { letters } = await send(5, (name) => {
      asked.push(name)
      return answers[name] ?? '250 ok'
    })
    assert.equal(letters, 'KDZZD')
    assert.equal(asked.length, 5)
  })
  it('nobody is taken: one transaction', async () => {
    const { letters, connections } = await send(3, () => '452 4.5.3 too many recipients')
    assert.equal(letters, 'ZZZ')
    assert.equal(connections, 1)
  })
  it('552 behind an accepted one is for now if the content is refused', async () => {
    const { letters } = await send(
      2,
      (name) => (name === 'r0' ? '250 ok' : '552 storage exceeded'),
      () => '354 go\r\n',
      () => '451 later\r\n',
    )
    assert.equal(letters, 'ZZ')
  })
  it('a host that takes nobody’s content for being too many, for ever', async () => {
    let contents = 0
    const { letters } = await send(
      4,
      () => '250 ok',
      () => '354 go\r\n',
      () => {
        contents++
        return '554 too many recipients\r\n'
      },
    )
    assert.equal(letters, 'DDDD')
    // Each is refused on the kept connection, and then on a fresh one.
    assert.ok(contents <= 12, `${contents} contents`)
  })
})

describe('a connection that has had its share', () => {
  for (const [command, answer] of [
    ['MAIL', '450 4.7.0 too many messages'],
    ['MAIL', '550 too many transactions in this session'],
    ['MAIL', '554 no more'],
    ['RCPT', '452 4.5.3 too many recipients in this session'],
    ['RCPT', '451 not on this connection'],
    ['RCPT', '421 closing'],
    ['RCPT', ''],
    ['DATA', '554 enough'],
    ['dot', '554 5.7.1 too many messages in one session'],
  ] as const)
    it(`${answer || 'an end'} to ${command} is no word about the message: a fresh one carries it`, async () => {
      const second: Script = async (peer) => {
        await greet(peer)
        await takeMessage(peer)
        await peer.expect('MAIL', command === 'MAIL' ? `${answer}\r\n` : '250 ok\r\n')
        if (command === 'RCPT') await peer.expect('RCPT', answer === '' ? '' : `${answer}\r\n`)
        if (answer === '') return
        if (command === 'DATA' || command === 'dot') await peer.expect('RCPT', '250 ok\r\n')
        if (command === 'DATA') await peer.expect('DATA', `${answer}\r\n`)
        if (command === 'dot') {
          await peer.expect('DATA', '354 go\r\n')
          await peer.content()
          peer.send(`${answer}\r\n`)
        }
        await peer.tail()
      }
      const scripted = await ScriptedServer.listen([second, acceptAll])
      const rig = new RemoteRig(`127.0.0.1:${scripted.port}`)
      assert.equal((await rig.report()).charAt(0), 'K')
      assert.equal((await rig.report()).charAt(0), 'K')
      rig.close()
      await scripted.close()
      assert.equal(scripted.peers.length, 2)
    })
  it('a fresh one that says the same is believed', async () => {
    const again: Script = async (peer) => {
      await greet(peer)
      await peer.expect('MAIL', '550 too many messages\r\n')
      await peer.tail()
    }
    const first: Script = async (peer) => {
      await greet(peer)
      await takeMessage(peer)
      await peer.expect('MAIL', '550 too many messages\r\n')
      await peer.tail()
    }
    const scripted = await ScriptedServer.listen([first, again])
    const rig = new RemoteRig(`127.0.0.1:${scripted.port}`)
    await rig.report()
    assert.match(await rig.report(), /^DConnected to 127\.0\.0\.1 but sender was rejected\./)
    rig.close()
    await scripted.close()
    assert.equal(scripted.peers.length, 2)
  })
})
