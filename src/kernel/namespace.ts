/** unshare(2), setns(2) and links to namespaces in /proc (namespaces(7), mount_namespaces(7)). */
import { closeSync, openSync, renameSync, rmSync, symlinkSync, writeSync } from "node:fs";
import { invariant } from "#lib/errors.ts";
import { ERRNO, throwErrno, withErrno } from "#kernel/errno.ts";
import type { NamespaceKernel } from "#kernel/kernel.ts";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { mountKernel } from "#kernel/mount.ts";
import { encodeName } from "#kernel/name-bytes.ts";

const CLONE_NEWNET = 0x40000000;
const CLONE_NEWNS = 0x00020000;
const CLONE_FS = 0x00000200;
const OWN_NETNS = "/proc/thread-self/ns/net";
const OWN_MNTNS = "/proc/thread-self/ns/mnt";
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

const enter = (fd: number, path: string): void =>
  void checked(libc().setns(fd, CLONE_NEWNET), "setns", path);

/** Runs `work` and puts this thread back into the namespace it was in, whatever happens. */
const andReturn = <T>(work: () => T): T => {
  const home = withErrno("open", OWN_NETNS, () => openSync(OWN_NETNS, "r"));
  try {
    return work();
  } finally {
    // Should this fail, every later network call would hit the wrong namespace: the error must win.
    enter(home, "the namespace to return to");
    closeSync(home);
  }
};

/** struct ifreq: 16 bytes of name, then the flags. In a new namespace `lo` has none to keep. */
const raiseLoopback = (): void => {
  const fd = checked(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", "lo");
  try {
    const request = new Uint8Array(40);
    request.set(encodeName("lo"));
    new DataView(request.buffer).setUint16(16, IFF_UP, true);
    checked(libc().ioctl(fd, SIOCSIFFLAGS, request), "ioctl SIOCSIFFLAGS", "lo");
  } finally {
    libc().close(fd);
  }
};

/** Namespaces that only this process keeps: path to descriptor. */
const held = new Map<string, number>();

const createNetns = (path: string): void => {
  const fd = andReturn(() => {
    checked(libc().unshare(CLONE_NEWNET), "unshare", path);
    raiseLoopback();
    return withErrno("open", OWN_NETNS, () => openSync(OWN_NETNS, "r"));
  });
  try {
    // A link, not a bind mount: what is mounted here, every container would copy at its start.
    withErrno("symlink", path, () => symlinkSync(`/proc/${process.pid}/fd/${fd}`, path));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  held.set(path, fd);
};

const letGo = (path: string): void => {
  const fd = held.get(path);
  if (fd === undefined) return;
  held.delete(path);
  closeSync(fd);
};

const handNetnsOver = (path: string, pid: number): void => {
  const next = `${path}.next`;
  withErrno("rename", path, () => {
    symlinkSync(`/proc/${pid}/ns/net`, next);
    renameSync(next, path);
  });
  letGo(path);
};

const removeNetns = (path: string): void => {
  letGo(path);
  withErrno("unlink", path, () => rmSync(path, { force: true }));
};

const inNetns = <T>(path: string, work: () => T): T => {
  const fd = withErrno("open", path, () => openSync(path, "r"));
  try {
    return andReturn(() => {
      enter(fd, path);
      const result = work();
      invariant(!(result instanceof Promise), "work inside a network namespace must not wait");
      return result;
    });
  } finally {
    closeSync(fd);
  }
};

/** Each is another thread that the runtime made in the very moment: hardly ever more than one. */
const ENTER_TRIES = 1000;

/**
 * setns(2) wants working directory and root for this thread alone. The runtime makes threads as it
 * pleases (to compile, to collect garbage), and each shares them with the thread that made it: also
 * one that is made between the two calls. Answers the number of the error, 0 when it is done.
 */
const setMountNamespace = (fd: number): number => {
  const { unshare, setns } = libc();
  let errno = 0;
  for (let attempt = 0; attempt < ENTER_TRIES; attempt += 1) {
    if (unshare(CLONE_FS) === 0 && setns(fd, CLONE_NEWNS) === 0) return 0;
    errno = lastErrno();
    if (errno !== ERRNO["EINVAL"]) break;
  }
  return errno;
};

const returnTo = (home: number): void => {
  const errno = setMountNamespace(home);
  if (errno === 0) return;
  // In a strange mount namespace every path means something else: nothing may be done there.
  writeSync(2, `naru: the way back from a container's mount namespace failed (errno ${errno})\n`);
  process.kill(process.pid, "SIGKILL");
};

/** Runs `work` after `enter`, and puts this thread back into the namespace and directory it was in. */
const inOtherMounts = <T>(enter: () => void, work: () => T): T => {
  const home = withErrno("open", OWN_MNTNS, () => openSync(OWN_MNTNS, "r"));
  const directory = withErrno("open", ".", () => openSync(".", "r"));
  try {
    enter();
    try {
      const result = work();
      invariant(!(result instanceof Promise), "work inside a mount namespace must not wait");
      return result;
    } finally {
      returnTo(home);
      // setns(2) puts the thread at the namespace's root.
      checked(libc().fchdir(directory), "fchdir", "the working directory");
    }
  } finally {
    closeSync(directory);
    closeSync(home);
  }
};

const inNewMountNamespace = <T>(work: () => T): T =>
  inOtherMounts(
    () => void checked(libc().unshare(CLONE_NEWNS), "unshare", "a new mount namespace"),
    () => {
      mountKernel.mount("", "/", "", ["rec", "slave"]);
      return work();
    },
  );

const inMountNamespaceOf = <T>(pid: number, work: () => T): T => {
  const path = `/proc/${pid}/ns/mnt`;
  const fd = withErrno("open", path, () => openSync(path, "r"));
  try {
    return inOtherMounts(() => {
      const errno = setMountNamespace(fd);
      if (errno !== 0) throwErrno("setns", errno, path);
    }, work);
  } finally {
    closeSync(fd);
  }
};

export const namespaceKernel: NamespaceKernel = {
  createNetns,
  handNetnsOver,
  removeNetns,
  inNetns,
  inNewMountNamespace,
  inMountNamespaceOf,
};
