/** A volume under another name. */
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { HostMounts } from "#volume/host-mounts.ts";
import type { VolumeStore } from "#volume/store.ts";
import type { VolumeRecord, VolumeUsers } from "#volume/volume.ts";

/** What the verbs on whole volumes share. */
export interface CopyParts {
  readonly store: VolumeStore;
  readonly hostMounts: HostMounts;
  readonly kernel: FileKernel;
  readonly users: VolumeUsers;
}

/** See `Volumes.rename`: containers know their volumes by name, so it must be nobody's. */
export const renameVolume = ({ store }: CopyParts, name: string, newName: string): VolumeRecord => {
  store.get(name);
  store.checkName(newName);
  store.assertFree(newName);
  const users = store.usersOf(name);
  if (users.length > 0) {
    throw new NaruError(
      "conflict",
      `rename ${name}: volume is in use - [${users.join(", ")}]: remove these containers first, or clone the volume`,
      { details: { users } },
    );
  }
  return store.rename(name, newName);
};
