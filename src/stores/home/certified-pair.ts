/** The pair that an authority certifies, HOME/tls/cert.pem and key.pem: makes a request with the key, and installs the chain
 *  that the authority returns in place of the certificate. The key stays, so that one rename makes the change, and published
 *  TLSA records stay valid.
 *  Knows:  which certificates it installed itself (HOME/tls/acme-installed): it replaces only those and self-signed ones.
 *  Never:  replaces a certificate that an administrator put there.
 *  Fails:  with a text that names the file and the remedy; nothing has changed then. */
import { lstat } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { describeError } from '../../base/outcome.ts'
import { certifiedNamesMax, type CertificateRequest } from '../../contracts/certificates.ts'
import { requestToBeSigned, signedRequest } from '../../protocols/x509/signing-request.ts'
import { errorCode, type Files, replaceFile } from '../../system/files.ts'
import { coversHost, keyPairFault, newSigningKey, readChain, requestKey, validityOf } from '../../system/keys.ts'
import { pairFault } from '../../system/server-tls.ts'
import { fileBytesMax, tlsPaths } from './tls-files.ts'

/** The new one and the one before: a power cut may come between the record and the certificate. */
const recordedMax = 2

export class RefusedError extends Error {
  override name = 'RefusedError'
}

/** Makes the key if there is none. Throws RefusedError. */
export async function certificateRequest(
  files: Files,
  directory: string,
  names: readonly string[],
): Promise<Omit<CertificateRequest, 'optional'>> {
  if (names.length === 0 || names.length > certifiedNamesMax)
    throw new RefusedError(`control/acmenames has ${names.length} names: write one to ${certifiedNamesMax} of them`)
  const before = await installedCertificate(files, directory)
  const keyPem = (await readKey(files, directory)) ?? (await makeKey(files, directory))
  const key = requestKey(keyPem)
  if (typeof key === 'string') throw new RefusedError(`${tlsPaths(directory).key} ${key}: move it away`)
  const signed = requestToBeSigned({ hostNames: names, publicKey: key.publicKey })
  const request = signedRequest(signed, key.kind, key.sign(signed))
  // An administrator has put a new key there, to have it certified.
  const isOfOldKey = before !== undefined && keyPairFault(before, keyPem) !== undefined
  return { names, request, certificatePem: isOfOldKey ? undefined : before }
}

/** `now`: milliseconds since 1970. Throws RefusedError. */
export async function installChain(
  files: Files,
  directory: string,
  { names, chainPem, now }: { readonly names: readonly string[]; readonly chainPem: string; readonly now: number },
): Promise<void> {
  const read = readChain(chainPem)
  if (typeof read === 'string') throw new RefusedError(`the chain is no good: ${read}`)
  const { own, text } = read
  const keyPem = await readKey(files, directory)
  const fault = chainFault(own, names, now) ?? (keyPem === undefined ? 'its key is gone' : pairFault(text, keyPem))
  if (fault !== undefined) throw new RefusedError(`the chain is no good: ${fault}`)
  const before = await installedCertificate(files, directory)
  const recorded = [own.fingerprint256, ...(before === undefined ? [] : [new X509Certificate(before).fingerprint256])]
  const record = `${recorded.slice(0, recordedMax).join('\n')}\n`
  await replaceFile(files, recordPath(directory), Buffer.from(record), 0o600)
  await replaceFile(files, tlsPaths(directory).certificate, Buffer.from(text), 0o644)
}

/** Removes the certificate installed here, and its record; not the key, which may be an administrator's. */
export async function removeInstalledCertificate(files: Files, directory: string): Promise<void> {
  if ((await files.facts(recordPath(directory))) === undefined) return
  const pem = await installedCertificate(files, directory).catch(() => undefined)
  if (pem !== undefined) await files.remove(tlsPaths(directory).certificate)
  await files.remove(recordPath(directory))
}

function chainFault(own: X509Certificate, names: readonly string[], now: number): string | undefined {
  const pem = own.toString()
  if (own.issuer === own.subject && own.verify(own.publicKey)) return 'it is signed by itself'
  const missing = names.find((name) => !coversHost(pem, name))
  if (missing !== undefined) return `it is not for ${missing}`
  const { fromMs, toMs } = validityOf(pem)
  if (toMs <= now) return `it ended on ${new Date(toMs).toISOString()}`
  return fromMs <= now ? undefined : `it begins on ${new Date(fromMs).toISOString()} (is the clock right?)`
}

/** In PEM. Undefined: there is none of an authority. Throws RefusedError for one that was not installed here. */
export async function installedCertificate(files: Files, directory: string): Promise<string | undefined> {
  const { certificate, key } = tlsPaths(directory)
  for (const path of [certificate, key]) if (await isLink(path)) throw somebodys(path, 'is a link')
  const pem = (await readOwn(files, certificate))?.toString('latin1')
  if (pem === undefined) return undefined
  let found: X509Certificate
  try {
    found = new X509Certificate(pem)
  } catch {
    throw somebodys(certificate, 'holds no certificate in PEM form')
  }
  const record = (await readOwn(files, recordPath(directory)))?.toString('latin1') ?? ''
  if (record.split('\n').includes(found.fingerprint256)) return pem
  if (found.issuer === found.subject) return undefined
  throw somebodys(certificate, 'was put there by somebody')
}

async function readKey(files: Files, directory: string): Promise<string | undefined> {
  const { key } = tlsPaths(directory)
  const facts = await files.facts(key)
  if (facts === undefined) return undefined
  if ((facts.mode & 0o077) !== 0) throw new RefusedError(`${key} may be read by others: chmod 600 ${key}`)
  return (await readOwn(files, key))?.toString('latin1')
}

async function makeKey(files: Files, directory: string): Promise<string> {
  const { privatePem } = newSigningKey()
  await replaceFile(files, tlsPaths(directory).key, Buffer.from(privatePem), 0o600)
  return privatePem
}

async function readOwn(files: Files, path: string): Promise<Buffer | undefined> {
  try {
    return await files.read(path, fileBytesMax)
  } catch (error) {
    throw new RefusedError(describeError(error))
  }
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}

function somebodys(path: string, what: string): RefusedError {
  return new RefusedError(
    `${path} ${what}, and is not replaced: to have it made by ACME, move cert.pem and key.pem away`,
  )
}

function recordPath(directory: string): string {
  return join(directory, 'acme-installed')
}
