/** Which account of the machine a role runs as: qmail's name, or what control/roles says. */
import { accountOf, type Role } from './layout.ts'

/** `overrides`: the map in control/roles, if there is one. */
export function accountName(overrides: ReadonlyMap<string, string> | undefined, role: Role): string {
  return overrides?.get(role) ?? accountOf[role]
}
