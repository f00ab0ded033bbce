/**
 * The machine without naru: kernel, a first file system that finds the disk, and the disk. Made from
 * Debian's packages once and kept; the machine never writes to it (its writes go to a throw-away layer).
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname } from "node:path";

import { parseAptSources, parseRelease, sourceLines } from "#image/mirror.ts";
import { must } from "../harness/process.ts";
import { programPath } from "./requirements.ts";

const RELEASE = parseRelease("debian:bookworm");
const PACKAGES = [
  "linux-image-cloud-amd64",
  "kmod",
  "busybox-static",
  "crun",
  "conmon",
  "nftables",
  "iproute2",
  "catatonit",
  "procps",
  "isal",
  "zstd",
  // Servers for volumes of network file systems.
  "nfs-kernel-server",
  "samba",
];
/** Sparse: what the machine does not fill takes no room. */
const DISK_SIZE = "3G";
/** Raise it when what is made here changes. */
const RECIPE = 3;

export interface Base {
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

const aptSources = (): ReturnType<typeof parseAptSources> => {
  const folder = "/etc/apt/sources.list.d";
  const paths = [
    "/etc/apt/sources.list",
    ...(existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}`) : []),
  ];
  return paths
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .flatMap((path) => parseAptSources(path, readFileSync(path, "utf8")));
};

/** Packages are unpacked only: none of their scripts runs, so nothing is mounted or started here. */
const unpackPackages = async (root: string): Promise<void> => {
  const sources = sourceLines(RELEASE, aptSources(), "amd64");
  await must(
    [
      programPath("mmdebstrap"),
      "--quiet",
      "--mode=root",
      "--variant=extract",
      "--format=directory",
      `--include=${PACKAGES.join(",")}`,
      ...["doc", "man", "locale", "info"].map(
        (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
      ),
      RELEASE.codename,
      root,
      ...sources,
    ],
    { timeoutMs: 600_000 },
  );
};

const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "etc/group": "root:x:0:\ndocker:x:998:\n",
  "etc/hostname": "naru-vm\n",
  "etc/hosts": "127.0.0.1 localhost naru-vm\n",
  "etc/resolv.conf": "nameserver 192.0.2.53\n",
  "etc/os-release": `PRETTY_NAME="Debian ${RELEASE.codename}, cgroup v2"\nVERSION_ID="12"\n`,
};

/** What the packages' scripts would have done, as far as it matters here. */
const furnish = async (root: string, version: string): Promise<void> => {
  const directories = "dev proc sys run root tmp payload usr/bin usr/sbin bin sbin var/lib".split(
    " ",
  );
  for (const name of directories) mkdirSync(`${root}/${name}`, { recursive: true });
  chmodSync(`${root}/tmp`, 0o1777);
  for (const [name, text] of Object.entries(FILES)) {
    rmSync(`${root}/${name}`, { force: true });
    writeFileSync(`${root}/${name}`, text);
  }
  const busybox = `${root}/bin/busybox`;
  const applets = await must([busybox, "--list-full"]);
  for (const applet of applets.trim().split("\n")) {
    const path = `${root}/${applet}`;
    // The real programs of packages stay.
    const isElsewhere = ["bin", "sbin", "usr/bin", "usr/sbin"].some((folder) =>
      isThere(`${root}/${folder}/${basename(applet)}`),
    );
    if (!isElsewhere && isThere(dirname(path))) symlinkSync("/bin/busybox", path);
  }
  await must(["chroot", root, "/sbin/depmod", version]);
  rmSync(`${root}/var/cache/apt`, { recursive: true, force: true });
  rmSync(`${root}/var/lib/apt`, { recursive: true, force: true });
};

/** The named modules and what they need, in the order in which they are loaded. */
export const modulesInOrder = (dependencies: string, names: readonly string[]): string[] => {
  const needs = new Map<string, string[]>();
  for (const line of dependencies.split("\n")) {
    const [path, list] = line.split(":");
    if (path !== undefined && list !== undefined) needs.set(path, list.trim().split(/\s+/));
  }
  const order: string[] = [];
  const add = (path: string): void => {
    if (path === "" || order.includes(path)) return;
    for (const need of needs.get(path)?.toReversed() ?? []) add(need);
    order.push(path);
  };
  for (const name of names) {
    // What is built into the kernel is not listed.
    const path = [...needs.keys()].find((key) => basename(key).replace(/\.ko.*$/, "") === name);
    if (path !== undefined) add(path);
  }
  return order;
};

const FIRST_INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
for module in $(/bin/busybox cat /modules/order); do
  /bin/busybox insmod /modules/$module || echo "naru-vm: $module does not load"
done
tries=0
while [ ! -b /dev/vdb ] && [ $tries -lt 100 ]; do
  tries=$((tries + 1)); /bin/busybox usleep 50000
done
/bin/busybox mount -t ext4 -o noatime /dev/vda /new || exec /bin/busybox poweroff -f
/bin/busybox mount -t ext4 -o ro /dev/vdb /new/payload || exec /bin/busybox poweroff -f
/bin/busybox umount /proc
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /payload/init
`;

const makeInitramfs = async (root: string, version: string, target: string): Promise<void> => {
  const tree = `${target}.tree`;
  const modules = `${root}/lib/modules/${version}`;
  for (const name of ["bin", "dev", "proc", "new", "modules"]) {
    mkdirSync(`${tree}/${name}`, { recursive: true });
  }
  const order = modulesInOrder(readFileSync(`${modules}/modules.dep`, "utf8"), [
    "virtio_pci",
    "virtio_blk",
    "crc32c_generic",
    "ext4",
  ]);
  await must(["cp", `${root}/bin/busybox`, `${tree}/bin/busybox`]);
  for (const path of order) await must(["cp", `${modules}/${path}`, `${tree}/modules/`]);
  writeFileSync(`${tree}/modules/order`, order.map((path) => basename(path)).join("\n"));
  writeFileSync(`${tree}/init`, FIRST_INIT, { mode: 0o755 });
  const pack = 'cd "$0" && "$1" find . | "$1" cpio -o -H newc > "$2"';
  await must(["sh", "-c", pack, tree, `${root}/bin/busybox`, target]);
  rmSync(tree, { recursive: true });
};

const makeBase = async (target: string): Promise<void> => {
  const work = mkdtempSync(`${dirname(target)}/making-`);
  try {
    const root = `${work}/root`;
    await unpackPackages(root);
    const version = readdirSync(`${root}/lib/modules`)[0];
    if (version === undefined) throw new Error("the kernel's package holds no modules");
    await furnish(root, version);
    const parts = `${work}/parts`;
    mkdirSync(parts);
    await makeInitramfs(root, version, `${parts}/initramfs`);
    renameSync(`${root}/boot/vmlinuz-${version}`, `${parts}/vmlinuz`);
    rmSync(`${root}/boot`, { recursive: true });
    await must([
      programPath("mke2fs"),
      "-q",
      "-t",
      "ext4",
      "-L",
      "naru-vm",
      "-d",
      root,
      `${parts}/root.ext4`,
      DISK_SIZE,
    ]);
    rmSync(target, { recursive: true, force: true });
    renameSync(parts, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

/** The base, made if it is not in the cache yet. `say` hears of what takes long. */
export const provideBase = async (cache: string, say: (line: string) => void): Promise<Base> => {
  const key = Bun.hash(JSON.stringify([RECIPE, RELEASE, PACKAGES, DISK_SIZE, FIRST_INIT, FILES]));
  const folder = `${cache}/base-${key.toString(36)}`;
  if (!existsSync(folder)) {
    say(`making the machine's root from Debian packages in ${folder} (once)`);
    for (const name of readdirSync(cache)) {
      if (name.startsWith("base-")) rmSync(`${cache}/${name}`, { recursive: true });
    }
    await makeBase(folder);
  }
  return {
    kernel: `${folder}/vmlinuz`,
    initramfs: `${folder}/initramfs`,
    disk: `${folder}/root.ext4`,
  };
};
