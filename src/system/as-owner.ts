/** Root works in another user's directory as that user: a link put there leads nowhere that the user could not go.
 *  The whole process runs as the owner meanwhile: only for the command line, which does one thing after the other. */

export interface OwnerIds {
  readonly uid: number
  readonly gid: number
}

/** Other users, and root in its own directories, do the work as they are. */
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
