/** maildir2mbox(1): moves the messages of $MAILDIR into the mbox $MAIL, which is written anew as $MAILTMP and renamed. */
import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { type ByteString, fromBuffer, toBuffer } from '../../base/byte-string.ts'
import { mboxDate } from '../../protocols/qmail/date.ts'
import { errnoText } from '../../protocols/qmail/errno-text.ts'
import { MboxQuoter } from '../../protocols/qmail/mbox-format.ts'
import { errorCode } from '../../system/files.ts'
import { tryLockExclusive } from '../../system/libc.ts'
import { pathOf } from '../../system/quick-files.ts'
import { type Call, exit, Fatal } from './call.ts'

const prefix = 'maildir2mbox: fatal: '
const readBytes: number = 64 * 1024
const lockPollMilliseconds = 100
const returnPath = 'Return-Path: <'

interface Found {
  /** Below the Maildir. */
  readonly name: ByteString
  readonly modifiedSeconds: number
}

export async function maildir2mbox(call: Call): Promise<number> {
  const variable = (name: string): ByteString => {
    const value = call.variables.get(name)
    if (value === undefined) throw new Fatal(exit.temporary, `${prefix}${name} not set`)
    return value
  }
  const [mbox, temporary, maildir] = [variable('MAIL'), variable('MAILTMP'), variable('MAILDIR')]
  attempt(`unable to chdir to ${maildir}`, () => lstatSync(pathOf(`${maildir}/.`)))
  const messages = ['new', 'cur'].flatMap((name) => scan(maildir, name, Math.floor(call.now() / 1000)))
  messages.sort((one, other) => one.modifiedSeconds - other.modifiedSeconds)
  if (messages.length === 0) return exit.ok
  const old = attempt(`unable to lock ${mbox}`, () => openSync(pathOf(mbox), append, 0o600))
  while (tryLockExclusive(old) === 'busy') await pause(lockPollMilliseconds)
  rewrite(mbox, temporary, maildir, messages)
  for (const { name } of messages) {
    try {
      unlinkSync(pathOf(`${maildir}/${name}`))
    } catch (error) {
      const why = errnoText(errorCode(error))
      call.err(`maildir2mbox: warning: $MAILDIR/${name} will be delivered twice; unable to unlink: ${why}\n`)
    }
  }
  return exit.ok
}

const append = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK
const truncate = constants.O_WRONLY | constants.O_TRUNC | constants.O_CREAT

/** Writes the old mbox and then the messages, and syncs the result before it replaces the old one. */
function rewrite(mbox: ByteString, temporary: ByteString, maildir: ByteString, messages: readonly Found[]): void {
  const source = attempt(`unable to read ${mbox}`, () => openSync(pathOf(mbox), 'r'))
  const target = attempt(`unable to create ${temporary}`, () => openSync(pathOf(temporary), truncate, 0o600))
  const write = (bytes: Uint8Array): void =>
    attempt(`unable to write to ${temporary}`, () => {
      for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(target, rest))
    })
  for (const piece of portions(source, mbox)) write(piece)
  for (const { name, modifiedSeconds } of messages) {
    const shown = `$MAILDIR/${name}`
    const fd = attempt(`unable to read ${shown}`, () => openSync(pathOf(`${maildir}/${name}`), 'r'))
    const quoter = new MboxQuoter()
    let isFirst = true
    for (const piece of portions(fd, shown)) {
      if (isFirst) write(toBuffer(`From ${senderOf(piece)} ${mboxDate(modifiedSeconds * 1000)}\n`))
      isFirst = false
      for (const part of quoter.push(piece)) write(part)
    }
    if (isFirst) write(toBuffer(`From XXX ${mboxDate(modifiedSeconds * 1000)}\n`))
    for (const part of quoter.end()) write(part)
    closeSync(fd)
  }
  attempt(`unable to write to ${temporary}`, () => {
    fsyncSync(target)
    closeSync(target)
  })
  attempt(`unable to move ${temporary} to ${mbox}`, () => renameSync(pathOf(temporary), pathOf(mbox)))
  // Without this a power cut could bring the old mbox back after the messages left the Maildir.
  attempt(`unable to move ${temporary} to ${mbox}`, () => {
    const slash = mbox.lastIndexOf('/')
    const directory = openSync(pathOf(slash < 0 ? '.' : mbox.slice(0, slash + 1)), constants.O_RDONLY)
    fsyncSync(directory)
    closeSync(directory)
  })
}

/** From the first line, which qmail-local wrote. */
function senderOf(beginning: Buffer): ByteString {
  const line = fromBuffer(beginning.subarray(0, Math.max(0, beginning.indexOf('\n'))))
  if (!line.startsWith(returnPath)) return 'XXX'
  const sender = line.slice(returnPath.length, -1)
  return sender === '' ? 'MAILER-DAEMON' : sender.replace(/[ \t]/g, '-')
}

/** Only files of past seconds: more of the present one could come, and spoil the order. */
function scan(maildir: ByteString, name: string, nowSeconds: number): Found[] {
  const names = attempt(`unable to scan $MAILDIR/${name}`, () =>
    readdirSync(pathOf(`${maildir}/${name}`), { encoding: 'latin1' }),
  )
  return names
    .filter((entry) => !entry.startsWith('.'))
    .flatMap((entry) => {
      const facts = statSync(pathOf(`${maildir}/${name}/${entry}`), { throwIfNoEntry: false })
      const modifiedSeconds = Math.floor((facts?.mtimeMs ?? 0) / 1000)
      return facts?.isFile() === true && modifiedSeconds < nowSeconds
        ? [{ name: `${name}/${entry}`, modifiedSeconds }]
        : []
    })
}

function* portions(fd: number, shown: ByteString): Generator<Buffer> {
  for (;;) {
    const buffer = Buffer.alloc(readBytes)
    const count = attempt(`unable to read ${shown}`, () => readSync(fd, buffer))
    if (count === 0) return
    yield buffer.subarray(0, count)
  }
}

function attempt<T>(what: ByteString, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Fatal(exit.temporary, `${prefix}${what}: ${errnoText(errorCode(error))}`)
  }
}
