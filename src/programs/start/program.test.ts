import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { listeners, serviceNames, services } from '../../contracts/services.ts'
import { controlFiles } from '../../stores/control/table.ts'
import { needsTls, programFile, programs } from './program.ts'

test('every service has its program, which serves all of its listeners and has a file to run', () => {
  for (const name of serviceNames) {
    const program = programs.find((one) => one.name === services[name].program)
    assert.ok(program !== undefined && program.for?.includes(name) === true, name)
    assert.ok(existsSync(programFile(program)), name)
    for (const listener of listeners.filter(({ service }) => service === name))
      assert.ok(program.listens.includes(listener.name), listener.name)
  }
})

test('every listener has a port and a control file of its own', () => {
  for (const key of ['port', 'demoPort', 'name'] as const)
    assert.equal(new Set(listeners.map((one) => one[key])).size, listeners.length, key)
  for (const { file } of listeners) assert.ok(Object.hasOwn(controlFiles, file), file)
})

test('no service with a login listens without a certificate', () => {
  for (const name of serviceNames) {
    const row = services[name]
    const program = programs.find((one) => one.name === row.program)
    if ('login' in row) assert.equal(program !== undefined && needsTls(program) && program.tls, true, name)
  }
})
