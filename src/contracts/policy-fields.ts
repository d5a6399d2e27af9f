/** Fields of questions to policy and of its answers: short, flags that are 0 or 1, words of a list. */
import type { ByteString } from '../base/byte-string.ts'
import type { FieldReader } from './fields.ts'
import { ContractError } from './frame.ts'

/** No field is longer, in either direction, unless its question says so. */
export const policyFieldBytesMax = 2048

export function text(fields: FieldReader): ByteString {
  return fields.string(policyFieldBytesMax)
}

export function flag(fields: FieldReader): boolean {
  const value = fields.u8()
  if (value > 1) throw new ContractError(`flag of ${value}`)
  return value === 1
}

/** Throws ContractError for a longer field: sending it would end the whole connection. */
export function bounded(value: ByteString): ByteString {
  return boundedTo(policyFieldBytesMax, value)
}

export function boundedTo(bytesMax: number, value: ByteString): ByteString {
  if (value.length > bytesMax) throw new ContractError(`field of ${value.length} bytes`)
  return value
}

export function cut(value: ByteString): ByteString {
  return value.slice(0, policyFieldBytesMax)
}
