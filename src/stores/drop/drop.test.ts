import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, it } from 'node:test'
import { type Home, homeAt } from '../home/layout.ts'
import { makeHome } from '../home/make.ts'
import { type Files, realFiles } from '../../system/files.ts'
import { drop, dropDirectory, type Dropped, readDropped } from './drop.ts'

let home: Home = homeAt('/')
beforeEach(async () => {
  home = homeAt(mkdtempSync(join(tmpdir(), 'quaver-drop-')))
  await makeHome(home.path, undefined)
})
afterEach(() => rmSync(home.path, { recursive: true, force: true }))

const envelope = { sender: 'a\xe9@x.test', recipients: ['b@y.test', ''] }
const content = 'Subject: x\n\nhello\n\n'

function read(name: string): Dropped | undefined {
  const fd = openSync(join(dropDirectory(home), name), 'r')
  try {
    return readDropped(fd)
  } finally {
    closeSync(fd)
  }
}

it('what was dropped is read back, and is for its owner only', async () => {
  await drop(home, 'one', envelope, content.length, [Buffer.from('Subject: x\n'), Buffer.from('\nhello\n\n')])
  const found = read('one')
  assert.deepEqual(found?.envelope, envelope)
  const path = join(dropDirectory(home), 'one')
  const bytes = readFileSync(path).subarray(found.contentAt, found.contentAt + found.contentBytes)
  assert.equal(bytes.toString(), content)
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

it('a file cut anywhere is not a message', async () => {
  await drop(home, 'whole', envelope, content.length, [Buffer.from(content)])
  const path = join(dropDirectory(home), 'whole')
  for (let bytes = statSync(path).size - 1; bytes >= 0; bytes--) {
    truncateSync(path, bytes)
    assert.equal(read('whole'), undefined, `${bytes} bytes`)
  }
})

it('content that is not as long as announced leaves nothing behind', async () => {
  await assert.rejects(
    drop(home, 'short', envelope, 10, [Buffer.from('short')]),
    /5 bytes of content, 10 were announced/,
  )
  assert.deepEqual(readdirSync(dropDirectory(home)), [])
})

it('never touches a file that is there', async () => {
  await drop(home, 'one', envelope, 1, [Buffer.from('1')])
  await assert.rejects(drop(home, 'one', envelope, 1, [Buffer.from('2')]), { code: 'EEXIST' })
  assert.notEqual(read('one'), undefined)
})

it('the content is synced before the file is closed, and the name before anybody is told', async () => {
  const steps: string[] = []
  const files: Files = {
    ...realFiles,
    async create(path, mode) {
      const file = await realFiles.create(path, mode)
      return {
        async write(bytes) {
          await file.write(bytes)
          steps.push('write')
        },
        async sync() {
          await file.sync()
          steps.push('sync')
        },
        async close() {
          await file.close()
          steps.push('close')
        },
      }
    },
    async syncDirectory(path) {
      await realFiles.syncDirectory(path)
      steps.push(`sync ${path}`)
    },
  }
  await drop(home, 'one', envelope, content.length, [Buffer.from(content)], files)
  assert.deepEqual(steps, ['write', 'write', 'write', 'sync', 'close', `sync ${dropDirectory(home)}`])
})
