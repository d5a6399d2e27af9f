/** What lies in queue/drop: when it goes, when it stays, and whom it holds up. */
import assert from 'node:assert/strict'
import { chownSync, existsSync, linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { plainFailure } from '../../src/base/outcome.ts'
import { decodeEnqueueRequest, encodeEnqueueReply } from '../../src/contracts/enqueue.ts'
import { filesPerTurnMax, ownersOf, watchDrops } from '../../src/programs/start/pickup.ts'
import { drop, dropDirectory } from '../../src/stores/drop/drop.ts'
import { type Home, homeAt, socketPath } from '../../src/stores/home/layout.ts'
import { makeHome } from '../../src/stores/home/make.ts'
import { FrameConnection } from '../../src/system/frame-connection.ts'

const content = 'Subject: x\n\nhi\n'
const unfinished = '3\nF\0'

describe('queue/drop', () => {
  let home: Home
  let server: Server
  /** What the queue, played by the test, answers; and whether the file was there when it did. */
  let answer: 'accepted' | 4 | 5 = 'accepted'
  let filesAtSubmit: string[][] = []
  const said: string[] = []
  let end = (): void => undefined

  beforeEach(async () => {
    home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-drops-')))
    await makeHome(home.path, undefined)
    filesAtSubmit = []
    said.length = 0
    server = createServer((socket) => {
      const connection = new FrameConnection(socket, {
        onFrame(frame) {
          const request = decodeEnqueueRequest(frame)
          if (request?.kind !== 'submit') return
          filesAtSubmit.push(readdirSync(dropDirectory(home)))
          const { ref } = request
          connection.send(
            encodeEnqueueReply(
              answer === 'accepted'
                ? { kind: 'accepted', ref, id: 77 }
                : { kind: 'refused', ref, failure: plainFailure(answer, '0.0', 'no') },
            ),
          )
        },
        onClose: () => undefined,
      })
    })
    await new Promise<void>((resolve) => server.listen(socketPath(home, 'queue-inject'), resolve))
  })
  afterEach(() => {
    end()
    server.close()
    rmSync(home.path, { recursive: true, force: true })
  })

  function watch(): void {
    const say = (text: string): void => void said.push(text)
    end = watchDrops(home, { note: say, trouble: say })
  }

  async function until(pattern: RegExp): Promise<void> {
    const limit = Date.now() + 20_000
    while (!said.some((text) => pattern.test(text))) {
      assert.ok(Date.now() < limit, `no ${String(pattern)} in ${said.join('\n')}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  const dropOne = (): Promise<void> =>
    drop(home, 'one', { sender: 'a@b', recipients: ['c@d'] }, content.length, [Buffer.from(content)])
  const files = (): string[] => readdirSync(dropDirectory(home))

  it('a message goes when the queue has taken it, and not before', async () => {
    answer = 'accepted'
    await dropOne()
    watch()
    await until(/took .* as msg 77/)
    assert.deepEqual(filesAtSubmit, [['one']])
    assert.deepEqual(files(), [])
  })

  it('a message that the queue puts off stays', async () => {
    answer = 4
    await dropOne()
    watch()
    await until(/one stays where it is: no/)
    assert.deepEqual(files(), ['one'])
  })

  it('a message that the queue refuses for good is kept under another name, and not handed in again', async () => {
    answer = 5
    await dropOne()
    watch()
    await until(/one is refused for good: no; it lies in .*refused\.one/)
    assert.deepEqual(files(), ['refused.one'])
    assert.deepEqual(await ownersOf(dropDirectory(home)), [])
  })

  it('a message larger than may be handed in is not read', async () => {
    answer = 'accepted'
    writeFileSync(join(home.control, 'databytes'), '1000\n')
    const large = Buffer.alloc(100_000, 'x')
    await drop(home, 'large', { sender: '', recipients: ['c@d'] }, large.length, [large])
    await dropOne()
    watch()
    await until(/large is refused for good: 100000 bytes of content, the limit is/)
    await until(/took .*one as msg/)
    assert.equal(filesAtSubmit.length, 1)
    assert.equal(existsSync(join(dropDirectory(home), 'refused.large')), true)
  })

  it('of many files a turn has a part, each time another', async () => {
    for (let n = 0; n < filesPerTurnMax + 200; n++) writeFileSync(join(dropDirectory(home), `junk-${n}`), '')
    const [first] = await ownersOf(dropDirectory(home))
    const [second] = await ownersOf(dropDirectory(home))
    assert.deepEqual(
      [first?.count, first?.names.length, new Set(first?.names).size],
      [filesPerTurnMax + 200, filesPerTurnMax, filesPerTurnMax],
    )
    assert.notDeepEqual(first?.names.toSorted(), second?.names.toSorted())
    watch()
    await until(/uid \d+ has 1200 files, of which 1000 have a turn/)
  })

  it('another owner with ten thousand files holds up nobody', { skip: process.getuid?.() !== 0 }, async () => {
    answer = 'accepted'
    const path = join(dropDirectory(home), '0')
    writeFileSync(path, unfinished)
    chownSync(path, 65_534, 65_534)
    for (let n = 0; n < 10_500; n++) linkSync(path, `${path}-${n}`)
    await dropOne()
    watch()
    await until(/took .*one as msg 77/)
  })
})
