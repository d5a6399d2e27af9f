/** Failures of the rooms below that are expected, as errors of the command. */
import { AccountError } from '../../../stores/home/account-error.ts'
import { HomeError } from '../../../stores/home/make.ts'
import { MadeError } from '../../../stores/installation/made.ts'
import { MachineProgramError } from '../../../system/machine-program.ts'
import { CommandError } from '../exit.ts'

/** A bug stays what it is. */
export function asCommandError(error: unknown): unknown {
  const isKnown =
    error instanceof HomeError ||
    error instanceof AccountError ||
    error instanceof MadeError ||
    error instanceof MachineProgramError
  return isKnown ? new CommandError(error.message) : error
}
