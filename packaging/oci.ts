/** An OCI image, as the layout that podman, docker, skopeo and buildah load: the root file system that it is given, and on it one
 *  layer of ours. The same tree on the same root gives the same bytes. No tool of containers is needed.
 *  Knows:  the image layout (OCI image specification 1.1), and that accounts have fixed numbers in an image: volumes outlive
 *          containers. Never: runs anything of the image. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { listeners } from '../src/contracts/services.ts'
import { accountOf } from '../src/stores/home/layout.ts'
import { type Archive, tool } from './archives.ts'
import type { Architecture } from './stage.ts'

export interface Image extends Archive {
  /** A tar archive of a root file system with what Node asks for, `sh` and `useradd`. */
  readonly base: string
}

const ociArchitecture: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }
const mediaType = 'application/vnd.oci.image'
/** Far from the numbers that distributions, and their useradd, give by themselves. */
const firstId = 30_810
const home = '/var/lib/quaver'
const configuration = '/etc/quaver'
const gzipMagic = 0x1f8b

interface Blob {
  readonly digest: string
  readonly size: number
}

/** `staged` is a root with `usr` in it, and gets what the image has besides. Returns the path. */
export async function oci({ staged, version, architecture, epoch, directory, base }: Image): Promise<string> {
  const path = join(directory, `quaver-${version}-oci-${architecture}.tar`)
  const work = await mkdtemp(join(tmpdir(), 'quaver-oci-'))
  const layout = join(work, 'layout')
  try {
    await refuseCompressed(base)
    await mkdir(join(layout, 'blobs/sha256'), { recursive: true })
    await complete(staged, base, work, epoch)
    const own = join(work, 'own.tar')
    await archive(staged, own, epoch)
    const layers = [await layer(layout, base), await layer(layout, own)]
    const created = new Date(epoch * 1000).toISOString()
    const config = await text(layout, {
      created,
      architecture: ociArchitecture[architecture],
      os: 'linux',
      config: {
        Entrypoint: ['/usr/bin/quaver'],
        Cmd: ['start', '--log', 'stderr'],
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        WorkingDir: '/',
        StopSignal: 'SIGTERM',
        Volumes: { [configuration]: {}, [home]: {} },
        ExposedPorts: Object.fromEntries(
          listeners
            .filter(({ service }) => ['smtp', 'submission', 'pop3'].includes(service))
            .map(({ port }) => [`${port}/tcp`, {}]),
        ),
        Labels: { 'org.opencontainers.image.title': 'quaver', 'org.opencontainers.image.version': version },
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: [
        { created, created_by: 'the root file system' },
        { created, created_by: `quaver ${version}` },
      ],
    })
    const manifest = await text(layout, {
      schemaVersion: 2,
      mediaType: `${mediaType}.manifest.v1+json`,
      config: { mediaType: `${mediaType}.config.v1+json`, ...config },
      layers: layers.map(({ digest, size }) => ({ mediaType: `${mediaType}.layer.v1.tar+gzip`, digest, size })),
    })
    const index = {
      schemaVersion: 2,
      mediaType: `${mediaType}.index.v1+json`,
      manifests: [
        {
          mediaType: `${mediaType}.manifest.v1+json`,
          ...manifest,
          platform: { architecture: ociArchitecture[architecture], os: 'linux' },
          annotations: {
            'org.opencontainers.image.ref.name': `quaver:${version}`,
            'io.containerd.image.name': `localhost/quaver:${version}`,
          },
        },
      ],
    }
    await writeFile(join(layout, 'index.json'), JSON.stringify(index))
    await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
    await archive(layout, path, epoch)
    return path
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function refuseCompressed(path: string): Promise<void> {
  const handle = await open(path)
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0)
    if (buffer.readUInt16BE() === gzipMagic) throw new Error(`${path} is compressed: gunzip it first`)
  } finally {
    await handle.close()
  }
}

/** Accounts, and the places of the volumes. */
async function complete(staged: string, base: string, work: string, epoch: number): Promise<void> {
  for (const path of [configuration, home]) await mkdir(join(staged, path), { recursive: true, mode: 0o755 })
  const names = [...Object.values(accountOf).filter((name) => name !== 'root'), 'vmail']
  const homes: Readonly<Record<string, string>> = { alias: `${home}/alias`, vmail: `${home}/mail` }
  const lines = names.map((name, index) => {
    const id = firstId + index
    return {
      passwd: `${name}:x:${id}:${id}::${homes[name] ?? home}:/usr/sbin/nologin`,
      group: `${name}:x:${id}:`,
      shadow: `${name}:!:::::::`,
    }
  })
  for (const [file, mode] of [
    ['passwd', 0o644],
    ['group', 0o644],
    ['shadow', 0o600],
  ] as const) {
    const before = await fileIn(base, `etc/${file}`, work, epoch)
    const known = new Set(before.split('\n').map((line) => line.split(':')[0]))
    const added = names.flatMap((name, index) => (known.has(name) ? [] : [lines[index]?.[file] ?? '']))
    await writeFile(join(staged, 'etc', file), `${before.trimEnd()}\n${added.join('\n')}\n`, { mode })
  }
}

/** Of a root file system, whose names may begin with `./`. */
async function fileIn(base: string, name: string, work: string, epoch: number): Promise<string> {
  const into = await mkdtemp(join(work, 'file-'))
  const extract = (path: string): Promise<void> => tool('tar', ['-xf', base, '-C', into, path], epoch)
  try {
    await extract(`./${name}`).catch(() => extract(name))
  } catch (error) {
    throw new Error(`${base} has no ${name}: it is to be a root file system`, { cause: error })
  }
  return await readFile(join(into, name), 'utf8')
}

async function archive(directory: string, path: string, epoch: number): Promise<void> {
  const options = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  await tool('tar', [...options, '-cf', path, '-C', directory, '.'], epoch)
}

async function layer(layout: string, tar: string): Promise<Blob & { readonly diffId: string }> {
  const plain = createHash('sha256')
  const compressed = join(layout, 'layer')
  await pipeline(
    createReadStream(tar),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plain.update(chunk)
        yield chunk
      }
    },
    createGzip({ level: 6 }),
    createWriteStream(compressed),
  )
  const hash = createHash('sha256')
  await pipeline(createReadStream(compressed), hash)
  const { size } = await stat(compressed)
  return { ...(await named(layout, compressed, hash.digest('hex'), size)), diffId: `sha256:${plain.digest('hex')}` }
}

async function text(layout: string, value: object): Promise<Blob> {
  const bytes = Buffer.from(JSON.stringify(value))
  const path = join(layout, 'text')
  await writeFile(path, bytes)
  return await named(layout, path, createHash('sha256').update(bytes).digest('hex'), bytes.length)
}

async function named(layout: string, path: string, digest: string, size: number): Promise<Blob> {
  await rename(path, join(layout, 'blobs/sha256', digest))
  return { digest: `sha256:${digest}`, size }
}
