import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { byHook } from './proofs.ts'

const name = 'mail.example.test'

it('dns-01: the hook is run with the record, and again to clean up; what it says is told', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-hook-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const hook = join(directory, 'hook')
  const said = join(directory, 'said')
  writeFileSync(hook, `#!/bin/sh\necho "$@" >> ${said}\n`, { mode: 0o755 })
  const proof = byHook([hook, 'zone'], directory)
  await proof.present(name, 'token', 'token.thumbprint')
  await proof.clear(name, 'token', 'token.thumbprint')
  assert.match(
    readFileSync(said, 'latin1'),
    /^zone present _acme-challenge\.mail\.example\.test\. [\w-]{43}\nzone cleanup _acme-challenge\.mail\.example\.test\. [\w-]{43}\n$/,
  )
  writeFileSync(hook, '#!/bin/sh\necho no such zone >&2; exit 3\n')
  await assert.rejects(proof.present(name, 't', 't.h'), /acmehook: .*hook ended with exit code 3: no such zone$/)
  await assert.rejects(byHook(['/nowhere/hook'], directory).present(name, 't', 't.h'), /acmehook: .*ENOENT/)
})
