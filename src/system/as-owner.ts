/** Root does something in a directory of somebody else's as that somebody: a link put there leads nowhere that its owner
 *  could not go by himself.
 *  The whole process is the owner meanwhile: only for the command line, which does one thing after the other. */

export interface OwnerIds {
  readonly uid: number
  readonly gid: number
}

/** Anybody but root, and root for itself, simply does it. */
export async function asOwner<T>(owner: OwnerIds, work: () => Promise<T>): Promise<T> {
  const { setgroups, getgroups, setegid, seteuid, geteuid, getegid } = process
  const isOther = geteuid?.() === 0 && owner.uid !== 0
  if (!isOther || !setgroups || !getgroups || !setegid || !seteuid) return await work()
  const before = { groups: getgroups(), gid: getegid?.() ?? 0 }
  setgroups([owner.gid])
  setegid(owner.gid)
  seteuid(owner.uid)
  try {
    return await work()
  } finally {
    seteuid(0)
    setegid(before.gid)
    setgroups(before.groups)
  }
}
