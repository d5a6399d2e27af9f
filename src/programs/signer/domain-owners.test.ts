import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { homeAt } from '../../stores/home/layout.ts'
import { realFiles } from '../../system/files.ts'
import { DomainOwners } from './domain-owners.ts'

describe('who may sign for the domain of reports', () => {
  it('is policy, which sends them, for no other domain', async () => {
    const owners = new DomainOwners({
      home: homeAt('/nowhere'),
      files: realFiles,
      users: { lookup: () => Promise.reject(new Error('not asked')) },
      tables: () => undefined,
      listed: () => undefined,
      aliasUid: 5,
      reporterUid: 7,
      reportsDomain: () => 'mx.us.test',
      find: () => Promise.resolve(undefined),
    })
    assert.equal(await owners.owns(7, 'mx.us.test'), true)
    assert.equal(await owners.owns(7, 'us.test'), false)
    assert.equal(await owners.owns(8, 'mx.us.test'), false)
  })
})
