/** Reads the JSON rows of other programs, whose shape is not certain. */

export function fieldsOf(row: unknown): object {
  return typeof row === 'object' && row !== null ? row : {}
}

export function field(row: object, name: string): unknown {
  return Object.hasOwn(row, name) ? Reflect.get(row, name) : undefined
}

/** Empty if it is no text. */
export function textField(row: object, name: string): string {
  const value = field(row, name)
  return typeof value === 'string' ? value : ''
}

/** 0 if it is no number. */
export function numberField(row: object, name: string): number {
  const value = field(row, name)
  return typeof value === 'number' ? value : 0
}

export function objectsField(row: object, name: string): object[] {
  const value = field(row, name)
  return Array.isArray(value) ? value.map(fieldsOf) : []
}
