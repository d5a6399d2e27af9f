/** Every limit of the exec program that a request does not bring along. */
export const limits = {
  /** At once; the others wait. Filters have places of their own: they take long. */
  plugInsMax: 50,
  filtersMax: 20,
  /** A message that waits for its filters has one to itself. */
  connectionsMax: 10_000,
} as const
