/** Preloaded into a program: its clock is wrong by as many milliseconds as the file that SHIFTED_CLOCK names says. The
 *  programs that it starts are run by what SHIFTED_NODE names, if anything. */
import { readFileSync } from 'node:fs'

const file = process.env['SHIFTED_CLOCK'] ?? ''
const now = Date.now
Date.now = () => now() + Number(readFileSync(file, 'utf8'))
process.execPath = process.env['SHIFTED_NODE'] ?? process.execPath
