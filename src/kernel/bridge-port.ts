/** Settings of a bridge's port (sysfs, Documentation/ABI/testing/sysfs-class-net). */
import { writeFileSync } from "node:fs";
import { withErrno } from "#kernel/errno.ts";

/**
 * Lets a frame leave by the port it came in on. Where br_netfilter is loaded, address translation
 * happens while a packet is still bridged: a container that calls its own published port needs this.
 */
export const setHairpin = (linkName: string): void => {
  const path = `/sys/class/net/${linkName}/brport/hairpin_mode`;
  withErrno("write", path, () => writeFileSync(path, "1", { flag: "r+" }));
};
