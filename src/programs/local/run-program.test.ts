import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { outputBytesOfInterest } from '../../protocols/qmail/delivery-status.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { storedInMemory } from '../../system/spool.ts'
import { runProgram } from './run-program.ts'

const log: string[] = []
const tools = {
  clock: realClock,
  random: realRandom,
  log: (line: string) => log.push(line),
  baseEnvironment: { PATH: '/usr/bin:/bin' },
}

function run(command: string, environment: [string, string][] = [], home = tmpdir(), content = 'Subject: x\n\nhi\n') {
  return runProgram(tools, command, home, new Map(environment), storedInMemory([Buffer.from(content)]))
}

describe('a program of .qmail', () => {
  it('reads the message from the start, and can rewind it', { skip: process.platform !== 'linux' }, async () => {
    const { verdict, output } = await run('cat; cat; cat < /dev/stdin')
    assert.deepEqual([verdict, output], ['next', 'Subject: x\n\nhi\n'.repeat(2)])
  })

  it('sees its variables and no others of ours', async () => {
    const { output } = await run('env | grep -v "^\\(_\\|PWD\\|OLDPWD\\|SHLVL\\)=" | sort', [['SENDER', 's@x']])
    assert.equal(output, 'PATH=/usr/bin:/bin\nSENDER=s@x\n')
  })

  it('gets an address as data, whatever is in it', async () => {
    const hostile = [`$(echo bad)\`echo bad\`'"; echo bad;`, '() { :; }; echo bad', '-e', `'\\''\xff'; echo bad`]
    for (const value of hostile) {
      const { output } = await run(`printf '%s' "$SENDER"`, [['SENDER', value]])
      assert.equal(output, value)
    }
  })

  it('gets bytes that are no UTF-8, in variables and in the command', async () => {
    const all = Array.from({ length: 255 }, (_, code) => String.fromCharCode(code + 1)).join('')
    assert.equal((await run(`printf '%s' "$SENDER"; cat > /dev/null`, [['SENDER', all]])).output, all)
    const { verdict, output } = await run(`printf '%s' 'gr\xfc\xdf'; printf '%s' "$SENDER"; cat; exit 99`, [
      ['SENDER', 'a\xc3\xbcb'],
    ])
    assert.deepEqual([verdict, output], ['stop', 'gr\xfc\xdfa\xc3\xbcbSubject: x\n\nhi\n'])
  })

  it('may say more than is kept, and come to its end', async () => {
    const { verdict, output } = await run('head -c 3000000 /dev/zero; exit 99')
    assert.equal(verdict, 'stop')
    assert.ok(output.length > 0 && output.length <= outputBytesOfInterest)
  })

  it('is deferred with what it said when a signal ends it', async () => {
    const { verdict, output } = await run('echo so far; kill -9 $$')
    assert.deepEqual([verdict, output], ['defer', 'so far\nAack, child crashed. (#4.3.0)\n'])
  })

  it('is deferred when it cannot be run', async () => {
    const { verdict, output } = await run('true', [], '/nonexistent')
    assert.deepEqual([verdict, output], ['defer', 'Unable to run /bin/sh: file does not exist. (#4.3.0)\n'])
  })
})
