/** A power cut under load: what is not on the disk at that instant is gone. Every message that was answered 250 must be
 *  there afterwards. The home is on a file system in an image; everything is stopped, the image copied as it is, and the
 *  copy mounted in its place. The journal's own commit is put off, so nothing gets to the disk that was not synced. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Instance, run, until } from '#test/kit/instance.ts'
import { Sink } from '#test/kit/sink.ts'
import { without, withoutRoot } from '#test/kit/tool.ts'
import { Load, outcome, relayDomain } from './load.ts'

const imageMegabytes = 256
const journalCommitSeconds = 600
const connections = 20
const acknowledgedMin = 80
const loadMillisecondsMax = 60_000
const drainMillisecondsMax = 60_000

const skip = withoutRoot() || without('mkfs.ext4', 'mount', 'truncate')

describe('a power cut under load', { skip, concurrency: false }, () => {
  it('while mail is delivered', (t) => cutPower(t, {}))

  // Nothing is delivered before the cut: all that was answered 250 is in the queue, and nowhere else.
  it('while mail is only accepted', (t) => cutPower(t, { concurrencylocal: '0\n', concurrencyremote: '0\n' }))
})

async function cutPower(t: TestContext, holding: Readonly<Record<string, string>>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-cut-'))
  const [image, copy, place] = ['disk', 'cut', 'mnt'].map((name) => join(directory, name)) as [string, string, string]
  t.after(async () => {
    await run('umount', ['-l', place])
    await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  })
  await must('truncate', '-s', `${imageMegabytes}M`, image)
  await must('mkfs.ext4', '-q', '-F', image)
  await must('mkdir', place)
  const first = await run('mount', ['-o', `loop,commit=${journalCommitSeconds}`, image, place])
  if (first.code !== 0) return t.skip(`cannot mount: ${first.stderr}`)

  const sink = await Sink.listen()
  t.after(() => sink.close())
  const home = join(place, 'home')
  await must('mkdir', home)
  const control = { smtproutes: `${relayDomain}:127.0.0.1:${sink.port}\n`, ...holding }
  const files = Object.fromEntries(Object.entries(control).map(([name, text]) => [`control/${name}`, text]))
  // What a test has written is on the disk before Quaver runs; what Quaver writes is its own care.
  const prepare = (): Promise<void> => must('sync', '-f', home)
  const instance = await Instance.start({ home, files, relayDomains: [relayDomain], prepare })
  t.after(() => instance.end())
  const { smtpPort } = instance
  const load = new Load(() => smtpPort, connections, 1)
  await until('mail under way', loadMillisecondsMax, () =>
    Promise.resolve(load.acknowledged.size >= acknowledgedMin || undefined),
  )

  // From here on nobody is told yes any more, and nothing reaches the disk.
  process.kill(-instance.pid, 'SIGSTOP')
  const acknowledged = [...load.acknowledged]
  await must('cp', '--sparse=always', image, copy)
  const stopped = load.stop()
  await instance.killAll()
  await stopped
  await must('umount', place)
  await must('mount', '-o', 'loop', copy, place)
  for (const name of Object.keys(holding)) await rm(join(home, 'control', name))

  await instance.restart()
  await instance.drained(drainMillisecondsMax)
  const { whole, broken } = await outcome(instance, sink)
  t.diagnostic(`${acknowledged.length} acknowledged, ${whole.size} came out`)
  const lost = acknowledged.filter((number) => !whole.has(number))
  assert.deepEqual(lost, [], 'acknowledged and gone')
  assert.deepEqual(broken, [], 'seen by a reader, and not whole')
}

async function must(file: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run(file, args)
  assert.equal(code, 0, `${file}: ${stderr}`)
}
