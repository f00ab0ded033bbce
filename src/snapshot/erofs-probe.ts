/** Whether this kernel mounts layers from their tars, found out by doing it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { randomHex } from "#lib/clock.ts";
import { toNaruError } from "#lib/errors.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import type { FileKernel, MountKernel } from "#kernel/kernel.ts";
import { errnoOf } from "#snapshot/directory-cache.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";
import { mountIndexed } from "#snapshot/layer-mounts.ts";
import { type Layout, layoutOf } from "#snapshot/layout.ts";
import { mountOverlay } from "#snapshot/overlay.ts";
import { makeDirectories } from "#snapshot/scan.ts";

const CONTENT = "naru";

const probeTar = (): Uint8Array => {
  const body = Buffer.from(CONTENT);
  const entry = plainEntry("file", { mode: 0o600, size: body.length });
  return Buffer.concat([tarHeader(entry), body, tarPadding(body.length), TAR_END]);
};

export interface ProbeFailure {
  /** What did not work, and what the kernel said. */
  readonly reason: string;
  /** It is the kernel that cannot, not a full disk or a lack of descriptors just now. */
  readonly isLasting: boolean;
}

/** How mount calls say that they do not know what they are asked for. */
const LASTING = ["ENODEV", "EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTBLK", "ELOOP"];

/**
 * undefined when it works. Needs Linux 6.15: 6.12 mounts EROFS from files, and only later
 * kernels put an overlay over a mount that is attached nowhere.
 */
export const probeErofs = (
  kernel: MountKernel & FileKernel,
  layout: Layout,
): ProbeFailure | undefined => {
  const directory = `${layout.ingest}/${randomHex(8)}`;
  const target = `${layout.views}/${randomHex(8)}`;
  let step = "making an index";
  let fd: number | undefined;
  let isMounted = false;
  try {
    using index = new IndexWriter({ directory, maxEntries: 1 });
    index.push(probeTar());
    index.finish();
    mkdirSync(target, { mode: 0o700 });
    step = "mounting EROFS from files";
    fd = mountIndexed(kernel, directory);
    step = "an overlay over it";
    const lowers = [kernel.fdPath(fd), layout.empty[0]];
    mountOverlay(kernel, { target, lowers, isMixed: true });
    isMounted = true;
    step = "reading through it";
    const found = readFileSync(`${target}/file`, "utf8");
    return found === CONTENT ? undefined : { reason: `${step}: another content`, isLasting: true };
  } catch (error) {
    const isLasting = LASTING.includes(errnoOf(error) ?? "");
    return { reason: `${step}: ${toNaruError(error).message}`, isLasting };
  } finally {
    if (isMounted) kernel.unmount(target);
    if (fd !== undefined) kernel.close(fd);
    rmSync(directory, { recursive: true, force: true });
    rmSync(target, { recursive: true, force: true });
  }
};

/** The same where there is no store: in a new directory under `parent`, which is gone again afterwards. */
export const probeErofsIn = (
  kernel: MountKernel & FileKernel,
  parent: string,
): ProbeFailure | undefined => {
  const root = mkdtempSync(`${parent}/naru-probe-`);
  try {
    const layout = layoutOf(root);
    makeDirectories(layout);
    return probeErofs(kernel, layout);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};
