/** What we bring along: every runtime dependency under a permissive licence, pinned, without install scripts, and every
 *  direct dependency explained in docs/dependencies.md. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const root = join(import.meta.dirname, '../..')
const permissive = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
])

interface Manifest {
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

interface Locked {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly integrity?: string
  readonly hasInstallScript?: boolean
}

const manifest = readJson('package.json') as Manifest
const lock = readJson('package-lock.json') as { packages: Readonly<Record<string, Locked>> }
const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
const runtime = packages.filter(([, locked]) => locked.dev !== true)
const direct = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies }

describe('dependencies', () => {
  it('the list is not empty', () => assert.ok(runtime.length >= Object.keys(manifest.dependencies ?? {}).length))

  for (const [path, locked] of runtime) {
    it(`${path} has a permissive licence`, () => {
      assert.ok(isPermissive(locked.license), `package-lock.json says ${locked.license}`)
      const installed = readJson(`${path}/package.json`, 'absent') as Manifest | 'absent'
      // Absent is the runtime of another architecture.
      if (installed !== 'absent') assert.ok(isPermissive(installed.license), `it says ${installed.license} itself`)
    })
  }

  it('nothing runs a script when it is installed', () => {
    assert.deepEqual(
      packages.filter(([, locked]) => locked.hasInstallScript === true),
      [],
    )
  })

  // Those for other systems too: who develops on one installs them.
  it('every package is pinned by content', () => {
    assert.deepEqual(
      packages.filter(([, locked]) => locked.integrity?.startsWith('sha512-') !== true).map(([path]) => path),
      [],
    )
  })

  for (const [name, version] of Object.entries(direct)) {
    it(`${name} is exact and explained`, () => {
      assert.match(version, /^\d+\.\d+\.\d+$/)
      assert.ok(
        readText('docs/dependencies.md').includes(`| \`${name}\` |`),
        `docs/dependencies.md has no row for ${name}`,
      )
    })
  }
})

describe('the licence test itself', () => {
  for (const licence of [
    'GPL-3.0-only',
    'AGPL-3.0',
    'LGPL-2.1',
    'SEE LICENSE IN LICENSE',
    'MIT AND GPL-2.0',
    undefined,
  ])
    it(`refuses ${licence}`, () => assert.equal(isPermissive(licence), false))
  for (const licence of ['MIT', '(MIT OR GPL-3.0)', 'MIT OR Apache-2.0'])
    it(`takes ${licence}`, () => assert.equal(isPermissive(licence), true))
})

/** Of an SPDX expression: a name, or alternatives of which one will do. */
function isPermissive(licence: string | undefined): boolean {
  const names = (licence ?? '').replace(/^\(|\)$/g, '').split(' OR ')
  return names.some((name) => permissive.has(name))
}

function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function readJson(path: string, whenAbsent?: unknown): unknown {
  try {
    return JSON.parse(readText(path)) as unknown
  } catch (error) {
    if (whenAbsent !== undefined && error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return whenAbsent
    throw error
  }
}
