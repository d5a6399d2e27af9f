/** Names, options and help of the commands by which a site moves here from qmail, and back. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addAdopt(program: Command): void {
  const command = subcommand(
    program,
    'adopt',
    "Take over a qmail's home: control, users, alias and the messages in its queue. The old home is not changed.",
  )
    .argument('<directory>', "the qmail's home, as /var/qmail; no qmail may run on it")
    .option('--dry-run', 'say what would happen, and write nothing')
    .option('--no-queue', 'leave the messages where they are')
    .option('--leave-broken', 'leave messages that are damaged where they are, and take the others')
    .option('--again', 'take messages again: those delivered since the first time are delivered twice')
    .action(async (directory: string) => (await import('./adopt.ts')).adopt(directory, command.optsWithGlobals()))
  examples(command, [
    ['quaver adopt /var/qmail --home /var/lib/quaver --dry-run', 'what it finds, changes and leaves'],
    ['quaver adopt /var/qmail --home /var/lib/quaver', 'after qmail has been stopped'],
    ['quaver queue export /var/qmail/queue', 'the way back'],
  ])
}

export function addExport(group: Command): void {
  const command = subcommand(
    group,
    'export',
    "Write the queue as a qmail's: a new directory, or a qmail's queue that is there. Quaver must not run.",
  )
    .argument('<directory>', 'the queue to write, as /var/qmail/queue; no qmail-send may run on it')
    .option('--dry-run', 'say what would happen, and write nothing')
    .option('--move', 'take the messages out of our queue when all are written')
    .option('--lossy', "also write messages that lose properties which qmail's queue cannot hold")
    .action(async (directory: string) => {
      await (await import('./queue-export.ts')).exportQueue(directory, command.optsWithGlobals())
    })
  examples(command, [
    ['quaver queue export /tmp/queue --dry-run', "what qmail's format cannot hold"],
    ['quaver queue export /var/qmail/queue --move', 'moves the messages'],
  ])
}
