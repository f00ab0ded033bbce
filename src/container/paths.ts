/** Where a container's files are. */
import type { ContainerPaths } from "#container/dependencies.ts";

/** What its process needs while it runs: config.json, pid files, sockets. */
export const bundleOf = ({ bundles }: ContainerPaths, id: string): string => `${bundles}/${id}`;

/** Files that survive its stop: hosts, resolv.conf, hostname, logs. */
export const directoryOf = ({ containers }: ContainerPaths, id: string): string =>
  `${containers}/${id}`;

export const logPathOf = (paths: ContainerPaths, id: string): string =>
  `${directoryOf(paths, id)}/container.log`;
