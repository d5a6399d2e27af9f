/** Names, arguments, options, help and examples of `quaver dmarc`. */
import type { Command } from 'commander'
import { examples, subcommand } from './command-form.ts'

export function addDmarc(program: Command): void {
  const group = subcommand(program, 'dmarc', 'Is the author of a message who he says (DMARC)?')
  examples(group, [['quaver dmarc explain saved.eml', '']])
  const explain = subcommand(
    group,
    'explain',
    'Evaluate a saved message as the running server would, and say every step: signatures, policies, result.',
  )
    .argument('<file>', 'a message with its whole header, as mail programs save it')
    .option('--ip <address>', 'where it came from; without it SPF is not checked')
    .option('--helo <name>', 'what that client said in HELO or EHLO', '')
    .option('--from <sender>', 'its reverse-path (default: that of the Return-Path field)')
    .action(async (file: string) => (await import('./dmarc.ts')).explain(file, explain.optsWithGlobals()))
  examples(explain, [
    ['quaver dmarc explain saved.eml', 'by its signatures alone'],
    ['quaver dmarc explain saved.eml --ip 192.0.2.1 --helo mx.example.org', 'with SPF'],
    ['quaver dmarc explain saved.eml --json', 'for scripts; exit code 1 if the result is fail or permerror'],
  ])
}
