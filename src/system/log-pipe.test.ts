import assert from 'node:assert/strict'
import { writeSync } from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import { FakeClock } from '#test/kit/smtpd.ts'
import { realClock } from './clock.ts'
import { oneLine } from './log.ts'
import { type LogPipe, openLogPipe } from './log-pipe.ts'

const noPipes = process.platform === 'linux' ? false : 'only Linux has such pipes'

describe('the log of another process', { skip: noPipes }, () => {
  let pipe: LogPipe | undefined
  afterEach(() => pipe?.close())

  function open(lines: string[], clock = realClock, bytesPerSecond = 1_000_000): LogPipe {
    pipe = openLogPipe((line) => lines.push(oneLine(line)), clock, { bytesPerSecond })
    assert.ok(pipe !== undefined)
    return pipe
  }

  async function turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  }

  it('is lines, whatever the pieces in which they come', async () => {
    const lines: string[] = []
    const { writeFd } = open(lines)
    for (const part of ['one\ntw', 'o\n\n', 'th']) {
      writeSync(writeFd, part)
      await turns(3)
    }
    assert.deepEqual(lines, ['one', 'two'])
  })

  it('says what is left when the process has ended', () => {
    const lines: string[] = []
    const opened = open(lines)
    writeSync(opened.writeFd, 'last words\nand no line end')
    opened.close()
    assert.deepEqual(lines, ['last words', 'and no line end'])
  })

  it('cannot begin a line of its own, reach a terminal, or fill the memory with one', () => {
    const lines: string[] = []
    const opened = open(lines)
    writeSync(opened.writeFd, `a\r2026 authd: failed-login\x1b[2J\xe9\0\n${'x'.repeat(50_000)}\nend\n`, null, 'latin1')
    opened.close()
    assert.equal(lines[0], 'a\\x0d2026 authd: failed-login\\x1b[2J\\xe9\\x00')
    assert.equal(lines[1], `${'x'.repeat(4096)}...`)
    assert.equal(lines[2], 'end')
  })

  it('is read only so fast: who says too much waits, and costs the reader nothing', async () => {
    const lines: string[] = []
    const clock = new FakeClock()
    const { writeFd } = open(lines, clock, 1000)
    writeSync(writeFd, `${'x'.repeat(1500)}\n`)
    await turns(10)
    writeSync(writeFd, 'later\n')
    await turns(10)
    assert.equal(lines.length, 1)
    clock.advance(1000)
    await turns(10)
    assert.deepEqual(lines.slice(1), ['later'])
  })
})
