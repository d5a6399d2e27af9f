import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { findSenderRule } from '../../protocols/submission/sender-rules.ts'
import { CdbReader } from '../../protocols/qmail/cdb.ts'
import { CommandError } from './exit.ts'
import { ofmipname } from './ofmipname.ts'

async function makeDirectory(test: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-ofmipname-'))
  test.after(() => rm(directory, { recursive: true }))
  return directory
}

const input = (text: string): AsyncIterable<Buffer> => Readable.from([Buffer.from(text)])
const failsWith =
  (code: number) =>
  (error: unknown): boolean =>
    error instanceof CommandError && error.code === code

describe('ofmipname', () => {
  it('puts the database in place as a whole, for everybody to read', async (test) => {
    const directory = await makeDirectory(test)
    const [cdb, temporary] = [join(directory, 'rules.cdb'), join(directory, 'rules.tmp')]
    await writeFile(temporary, 'left over')
    await ofmipname([cdb, temporary], input('# mine\njoe@laptop:Joe:joe@example.org:\nno rule\n'))
    const reader = new CdbReader(await readFile(cdb))
    assert.deepEqual(findSenderRule(reader, 'joe@laptop'), { name: 'Joe', address: 'joe@example.org' })
    assert.deepEqual([...reader.keys()], ['joe@laptop'])
    assert.equal((await stat(cdb)).mode & 0o777, 0o644)
    assert.deepEqual(await readdir(directory), ['rules.cdb'])
  })

  it('wants two names', async () => {
    for (const names of [[], ['a'], ['a', 'b', 'c']]) await assert.rejects(ofmipname(names, input('')), failsWith(100))
  })

  it('leaves the database as it was when anything goes wrong', async (test) => {
    const directory = await makeDirectory(test)
    const cdb = join(directory, 'rules.cdb')
    await writeFile(cdb, 'old')
    await assert.rejects(ofmipname([cdb, join(directory, 'no/rules.tmp')], input('')), failsWith(111))
    await assert.rejects(ofmipname([cdb, join(directory, 't')], input('x'.repeat(9_000_000))), failsWith(111))
    await chmod(cdb, 0o600)
    assert.equal(await readFile(cdb, 'latin1'), 'old')
  })
})
