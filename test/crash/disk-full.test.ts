/** The queue's disk is full: new mail is put off with a 4xx, nothing dies, and when space returns mail goes on by itself. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, open, readdir, rm, statfs, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { replaceCredentialsText } from '../../src/stores/credentials/credentials-file.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { realFiles, replaceFile } from '../../src/system/files.ts'
import { demoAddress, Instance, run, until } from '#test/kit/instance.ts'
import { deliver, SmtpClient } from '#test/kit/smtp-client.ts'
import { withoutRoot } from '#test/kit/tool.ts'

const diskMegabytes = 16
const recoveryMillisecondsMax = 30_000

describe('a full disk', () => {
  let home = ''
  let instance: Instance | undefined
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'quaver-full-'))
    await mkdir(join(home, 'queue'), { mode: 0o700 })
  })
  after(async () => {
    await instance?.end()
    await run('umount', ['-l', join(home, 'queue')])
    await rm(home, { recursive: true, force: true, maxRetries: 3 })
  })

  it('is answered 4xx, and is got over', { skip: withoutRoot() }, async (t) => {
    const queue = join(home, 'queue')
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMegabytes}m,mode=700`, 'quaver-test', queue])
    if (mounted.code !== 0) return t.skip(`cannot mount: ${mounted.stderr}`)
    instance = await Instance.start({ home, files: {} })
    const { smtpPort } = instance
    const message = (subject: string) => {
      return {
        from: 'a@client.test',
        to: [demoAddress],
        content: `Subject: ${subject}\r\n\r\n${'x'.repeat(60_000)}\r\n`,
      }
    }
    await deliver(smtpPort, message('before'))

    const filler = join(queue, 'filler')
    await fill(queue, filler)
    const whole = join(queue, 'whole')
    await assert.rejects(replaceFile(realFiles, whole, Buffer.alloc(1024 * 1024), 0o600), /ENOSPC.*\/\.whole/)
    // Passwords are written as the account of their directory.
    const passwords = replaceCredentialsText({ ...homeAt(home), auth: queue }, 'x'.repeat(1024 * 1024))
    await assert.rejects(passwords, /ENOSPC.*\/\.passwd/)
    assert.deepEqual(
      (await readdir(queue)).filter((name) => /whole|passwd/.test(name)),
      [],
    )
    const answers: number[] = []
    for (let count = 0; count < 5; count++) {
      const client = await SmtpClient.greeted(smtpPort)
      answers.push((await client.transaction(message(`full-${count}`))).code)
      client.destroy()
    }
    assert.ok(
      answers.some((code) => code >= 400 && code < 500),
      `answers: ${answers.join(' ')}`,
    )
    assert.ok(
      answers.every((code) => code === 250 || (code >= 400 && code < 500)),
      `answers: ${answers.join(' ')}`,
    )

    await unlink(filler)
    await until('mail to be accepted again', recoveryMillisecondsMax, () =>
      deliver(smtpPort, message('after')).then(
        () => true,
        () => undefined,
      ),
    )
    await instance.drained(recoveryMillisecondsMax)
    const subjects = [...(await instance.delivered()).values()].map(
      (content) => /^Subject: (.*)$/m.exec(content.toString('latin1'))?.[1],
    )
    for (const [count, code] of answers.entries())
      if (code === 250) assert.ok(subjects.includes(`full-${count}`), `full-${count} was acknowledged and is gone`)
    assert.ok(subjects.includes('before') && subjects.includes('after'), subjects.join(' '))
    return undefined
  })
})

/** Writes until not a page is left. */
async function fill(directory: string, path: string): Promise<void> {
  const file = await open(path, 'w')
  const page = Buffer.alloc(4096)
  try {
    for (;;) {
      const { bavail } = await statfs(directory)
      if (bavail === 0) return
      await file.write(page)
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    await file.close()
  }
}
