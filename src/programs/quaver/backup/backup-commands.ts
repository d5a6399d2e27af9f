/** Names, options and help of `quaver backup` and `quaver restore`. */
import type { Command } from 'commander'
import { examples, subcommand } from '../command-form.ts'

export function addBackup(program: Command): void {
  const backup = subcommand(
    program,
    'backup',
    'Write configuration, accounts, keys and queue into one file, while Quaver runs. It holds secrets; only you can read it.',
  )
    .argument(
      '<target>',
      'a new file (.tar.gz is compressed, .tar not), or a directory, for a file named by host and time',
    )
    .option('--mail', 'also the messages in mailboxes of hosted domains')
    .action(async (target: string) => (await import('./backup.ts')).backup(target, backup.optsWithGlobals()))
  examples(backup, [
    ['quaver backup /backup', 'every night, by cron: a new file each time'],
    ['quaver backup --mail /backup/all.tar.gz', ''],
    ['tar -tvzf /backup/all.tar.gz', 'any tar shows what is in it'],
  ])
  const restore = subcommand(
    program,
    'restore',
    'Restore a home from a backup, where none exists. Messages in its queue are held until you release them.',
  )
    .argument('<file>', 'what quaver backup wrote')
    .option('--release', 'send the messages in the queue: those sent since the backup go out twice')
    .option('--dry-run', 'check the file, say what it holds and what is missing here, and write nothing')
    .action(async (file: string) => (await import('./restore.ts')).restore(file, restore.optsWithGlobals()))
  examples(restore, [
    ['quaver restore /backup/mail.example.org.tar.gz --dry-run', 'is it whole?'],
    ['quaver restore /backup/mail.example.org.tar.gz', 'on a new machine: before quaver setup, which makes the rest'],
    ['quaver queue list; quaver queue release --all', 'then, if it may be sent'],
  ])
}
