/** The kernel as it is. Needs root; acts on this thread and the namespaces it is in. */
import { fileKernel } from "#kernel/file.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { mountKernel } from "#kernel/mount.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { processKernel } from "#kernel/process.ts";
import { socketKernel } from "#kernel/socket.ts";

export const createKernel = (): Kernel => ({
  ...mountKernel,
  ...fileKernel,
  ...processKernel,
  ...socketKernel,
  ...namespaceKernel,
});
