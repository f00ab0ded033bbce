/**
 * The cgroup of a process that was never made. A runtime removes it where it fails; not where the limits that it has
 * taken on already keep it from opening files.
 */
export type RemoveCgroup = (path: string) => Promise<void>;

/** `config`: text of config.json. What failed first is what is told: this never throws. */
export const removeLeftCgroup = async (
  removeCgroup: RemoveCgroup,
  config: string,
): Promise<void> => {
  const { linux } = JSON.parse(config) as { linux?: { cgroupsPath?: string } };
  const path = linux?.cgroupsPath ?? "";
  if (!path.startsWith("/") || path === "/") return;
  // With processes in it, it is theirs: it goes when they are deleted.
  await removeCgroup(path).catch(() => undefined);
};
