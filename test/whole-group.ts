/** The first import of a group (groups.ts): the process fails if it ends before all its tests have, whoever ended it. */
import { after } from 'node:test'

let isWhole = false
after(() => {
  isWhole = true
})
process.on('exit', () => {
  if (!isWhole) process.exitCode ||= 1
})
