/** qmail-local and qmail-getpw as measured from a stock build: outputs, exit codes, what qmail-queue was given. */
import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { done } from '../../src/base/outcome.ts'
import type { Assignment } from '../../src/contracts/assign.ts'
import { encodeEnvelope, noParams } from '../../src/contracts/envelope.ts'
import { deliver } from '../../src/programs/local/delivery.ts'
import { local } from '../../src/programs/qmail/local.ts'
import { checkHome } from '../../src/stores/dot-qmail/home-files.ts'
import { homeAt } from '../../src/stores/home/layout.ts'
import { Maildirs } from '../../src/stores/maildir/maildir.ts'
import { Mboxes } from '../../src/stores/mbox/mbox.ts'
import { AccountBook, UserLookup } from '../../src/stores/users/lookup-user.ts'
import { realClock } from '../../src/system/clock.ts'
import { quickFiles } from '../../src/system/quick-files.ts'
import { realRandom } from '../../src/system/random.ts'
import { storedInMemory } from '../../src/system/spool.ts'
import { callProgram } from '#test/kit/qmail-call.ts'
import { sharedJson } from '#test/kit/shared.ts'

interface FileVector {
  readonly dot_qmail: string | null
  readonly file: string
  readonly mode: string
  readonly other_files: readonly string[]
  readonly dash: string
  readonly ext: string
  readonly sender: string
  readonly opts: readonly string[]
  readonly default_delivery: string
  readonly message: string
  readonly rc: number
  readonly output: string
  readonly qq_fd1?: string
  readonly qq_fd0?: string
  readonly Mailbox?: string
}

interface ExitVector {
  readonly program_exit: number
  readonly rc: number
  readonly output: string
  readonly forwarded: boolean
}

interface GetpwVector {
  readonly arg: string
  readonly stdout: string
}

interface Vectors {
  readonly local: readonly (FileVector | ExitVector)[]
  readonly getpw: readonly GetpwVector[]
}

/** qmail-local's. */
const exitCodes = { 2: 0, 4: 111, 5: 100 } as const

interface Result {
  readonly exitCode: number | undefined
  readonly output: string
}

interface Observed extends Result {
  readonly mailbox: string | undefined
  /** What a queue was given: envelope and content. */
  readonly envelope: string | undefined
  readonly content: string | undefined
}

const vectors = sharedJson<Vectors>('vectors', 'qmail-core.json')
const skip = vectors === undefined ? 'no vectors/qmail-core.json (set QUAVER_SHARED)' : false

describe('qmail-local vectors', { skip }, () => {
  for (const [index, vector] of (vectors?.local ?? []).entries()) {
    if ('program_exit' in vector) {
      it(`${index}: program exits ${vector.program_exit}`, async () => {
        const observed = await observe(asFileVector(vector))
        assert.equal(withoutPid(observed.output), vector.output)
        assert.equal(observed.exitCode, vector.rc)
        assert.equal(observed.envelope !== undefined, vector.forwarded)
      })
    } else {
      it(`${index}: ${vector.file} ${JSON.stringify(vector.dot_qmail)} ${vector.mode}`, async (test) => {
        const observed = await observe(vector, test)
        assert.equal(withoutPid(observed.output), vector.output)
        assert.equal(observed.exitCode, vector.rc)
        assert.equal(observed.envelope, vector.qq_fd1)
        assert.equal(observed.content, vector.qq_fd0)
        assert.equal(
          observed.mailbox?.replace(/^(From \S+ )\w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}$/m, '$1<CTIME>'),
          vector.Mailbox,
        )
      })
    }
  }
})

describe('qmail-getpw vectors', { skip }, () => {
  const accounts = [
    { name: 'joe', uid: 5001, gid: 5001, home: '/home/joe', shell: '' },
    { name: 'alias', uid: 7790, gid: 2108, home: '/var/qmail/alias', shell: '' },
    { name: 'root', uid: 0, gid: 0, home: '/root', shell: '' },
  ]
  const find = (name: string) => Promise.resolve(accounts.find((account) => account.name === name))
  const ownerOf = (home: string) => Promise.resolve(accounts.find((account) => account.home === home)?.uid)
  const users = new UserLookup(homeAt('/nowhere/qmail'), {
    accounts: new AccountBook(realClock, { find, ownerOf }),
    alias: () => find('alias'),
  })
  for (const { arg, stdout } of vectors?.getpw ?? []) {
    it(JSON.stringify(arg), async () => {
      const found = await users.lookupByAccounts(arg)
      assert.equal(found.kind, 'user')
      const { user, uid, gid, home, dash, ext } = found.record
      const fields = [user, uid, gid, home.replace('/nowhere/', '/var/'), dash, ext]
      assert.equal(fields.map((field) => `${field}\0`).join(''), stdout)
    })
  }
})

function asFileVector({ program_exit, rc, output }: ExitVector): FileVector {
  return {
    dot_qmail: `|exit ${program_exit}\na@b\n`,
    file: '.qmail',
    mode: '0o600',
    other_files: [],
    dash: '',
    ext: '',
    sender: 's@x',
    opts: [],
    default_delivery: './Mailbox',
    message: 'Subject: x\n\nhi\n',
    rc,
    output,
  }
}

function withoutPid(output: string): string {
  return output.replace(/^qp \d+$/m, 'qp <PID>')
}

async function observe(vector: FileVector, test?: TestContext): Promise<Observed> {
  const home = await mkdtemp(join(tmpdir(), 'quaver-vector-'))
  try {
    await chmod(home, 0o755)
    if (vector.dot_qmail !== null) {
      await writeFile(join(home, vector.file), vector.dot_qmail, 'latin1')
      await chmod(join(home, vector.file), Number(vector.mode))
    }
    for (const name of vector.other_files) await writeFile(join(home, name), '')
    const assignment: Assignment = {
      key: 1,
      user: 'joe',
      home,
      local: `joe${vector.dash}${vector.ext}`,
      dash: vector.dash,
      ext: vector.ext,
      domain: 'lab.test.example',
      defaultDelivery: vector.default_delivery,
    }
    assert.equal(checkHome(quickFiles, home), undefined)
    if (vector.opts.includes('-n')) return { ...(await describeAsOwner(vector, home, test)), ...nothing }
    return await run(assignment, vector)
  } finally {
    await rm(home, { recursive: true })
  }
}

const nothing = { mailbox: undefined, envelope: undefined, content: undefined }

/** root may read what its owner may not: the test is another user while it looks at such a file. */
async function describeAsOwner(vector: FileVector, home: string, test: TestContext | undefined): Promise<Result> {
  const isOther = (Number(vector.mode) & 0o400) === 0 && process.geteuid?.() === 0
  if (isOther) test?.diagnostic('as uid 65534 instead of root')
  if (isOther) process.seteuid?.(65534)
  try {
    const { dash, ext, sender } = vector
    const operands = ['joe', home, `joe${dash}${ext}`, dash, ext, 'lab.test.example', sender, vector.default_delivery]
    const end = await callProgram(local, { name: 'qmail-local', args: [...vector.opts, '--', ...operands] })
    return { exitCode: end.code, output: end.stdout + end.stderr }
  } finally {
    if (isOther) process.seteuid?.(0)
  }
}

async function run(assignment: Assignment, vector: FileVector): Promise<Observed> {
  const machine = { files: quickFiles, clock: realClock, random: realRandom }
  let taken: { envelope: string; content: string } | undefined
  const result = await deliver(
    {
      ...machine,
      log: () => undefined,
      baseEnvironment: { PATH: '/usr/bin:/bin' },
      maildirs: new Maildirs({ ...machine, pid: process.pid, host: 'host' }),
      mboxes: new Mboxes(machine),
      enqueuerFor: () => ({
        open(envelope) {
          let body = ''
          return {
            write(bytes) {
              body += bytes.toString('latin1')
              return Promise.resolve()
            },
            close(head) {
              taken = { envelope: encodeEnvelope(envelope).toString('latin1'), content: head + body }
              return Promise.resolve(done(4711))
            },
            abandon: () => undefined,
          }
        },
      }),
    },
    {
      assignment,
      sender: vector.sender,
      params: noParams,
      content: storedInMemory([Buffer.from(vector.message, 'latin1')]),
    },
  )
  const mailbox = await readFile(join(assignment.home, 'Mailbox'), 'latin1').catch(() => undefined)
  return {
    exitCode: exitCodes[result.class],
    output: result.peerText,
    mailbox,
    envelope: taken?.envelope,
    content: taken?.content,
  }
}
