/** Settings of a bridge's port (sysfs, Documentation/ABI/testing/sysfs-class-net). */
import { writeFileSync } from "node:fs";
import { withErrno } from "#kernel/errno.ts";

const switchOn = (linkName: string, setting: string): void => {
  const path = `/sys/class/net/${linkName}/brport/${setting}`;
  withErrno("write", path, () => writeFileSync(path, "1", { flag: "r+" }));
};

/**
 * Lets a frame leave by the port it came in on. Where br_netfilter is loaded, address translation
 * happens while a packet is still bridged: a container that calls its own published port needs this.
 */
export const setHairpin = (linkName: string): void => switchOn(linkName, "hairpin_mode");

/** Isolated ports of a bridge exchange no frames with each other; the bridge itself reaches them all. */
export const setIsolated = (linkName: string): void => switchOn(linkName, "isolated");
