/** HOME/acme/account.pem: the key of our account at an authority. It certifies nothing and opens no mail; but its holder can
 *  get certificates for our names as long as the authority remembers our proofs.
 *  Fails:  throws with the path; never shows any of the key. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { type Files, replaceFile } from '../../system/files.ts'
import { newSigningKey } from '../../system/keys.ts'
import type { Home } from '../home/layout.ts'

const keyBytesMax: number = 16 * 1024

/** Makes it if there is none. */
export async function accountKey(files: Files, home: Home): Promise<KeyObject> {
  const path = join(home.acme, 'account.pem')
  const found = await files.read(path, keyBytesMax)
  if (found !== undefined) return readKey(path, found)
  const { privatePem } = newSigningKey()
  await replaceFile(files, path, Buffer.from(privatePem), 0o600)
  return createPrivateKey(privatePem)
}

function readKey(path: string, pem: Buffer): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    throw new Error(`${path} holds no key: remove it, and a new account is made`)
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new Error(`${path} holds a key of another kind than P-256: remove it, and a new account is made`)
  return key
}
