/**
 * Linux capabilities (capabilities(7), <linux/capability.h>) and the rules by which `--cap-add`,
 * `--cap-drop` and `--privileged` make a container's set.
 */
import { NaruError } from "#lib/errors.ts";

/** Every capability, at the index that is its number in the kernel. */
export const CAPABILITIES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type Capability = (typeof CAPABILITIES)[number];

/** What a container gets when nothing is said: Docker's documented default set. */
export const DEFAULT_CAPABILITIES: readonly Capability[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
];

const NUMBERS: ReadonlyMap<string, number> = new Map(
  CAPABILITIES.map((name, number) => [name, number]),
);

const isCapability = (name: string): name is Capability => NUMBERS.has(name);

/**
 * A capability as people write it ("net_admin", "CAP_NET_ADMIN") by its full name.
 * @throws NaruError invalid_argument, naming it, when there is no such capability.
 */
export const normalizeCapability = (written: string): Capability => {
  const upper = written.toUpperCase();
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (isCapability(name)) return name;
  throw new NaruError(
    "invalid_argument",
    `unknown capability "${written}": use "ALL" or a name of capabilities(7), with or without "CAP_"`,
    { details: { capability: written } },
  );
};

export interface CapabilityRequest {
  readonly add?: readonly string[];
  readonly drop?: readonly string[];
  /** Everything that is available; `add` and `drop` have no say then. */
  readonly privileged?: boolean;
  /**
   * What this host can give (the daemon's bounding set): "ALL" means these, and adding another is
   * refused. All of Linux's when absent.
   */
  readonly available?: readonly Capability[];
}

const isAll = (written: string): boolean => written.toUpperCase() === "ALL";

/**
 * The set a container gets: the default one less `drop` plus `add`. "ALL" in `add` takes all but
 * `drop`; "ALL" in `drop` alone leaves exactly `add`; what is both added and dropped is added, unless
 * `add` says "ALL". In the kernel's order, each once.
 * @throws NaruError invalid_argument for a name that is unknown or that the host cannot give.
 */
export const resolveCapabilities = (request: CapabilityRequest): Capability[] => {
  const available = new Set<Capability>(request.available ?? CAPABILITIES);
  const read = (names: readonly string[] = []): { all: boolean; named: Capability[] } => ({
    all: names.some(isAll),
    named: names.filter((name) => !isAll(name)).map(normalizeCapability),
  });
  const add = read(request.add);
  const drop = read(request.drop);
  const missing = add.named.find((name) => !available.has(name));
  if (missing !== undefined && request.privileged !== true) {
    throw new NaruError(
      "invalid_argument",
      `capability "${missing}" cannot be added: this host does not have it to give`,
      { details: { capability: missing } },
    );
  }
  const chosen = new Set<Capability>();
  if (request.privileged === true) {
    for (const name of available) chosen.add(name);
  } else if (add.all) {
    for (const name of available) if (!drop.named.includes(name)) chosen.add(name);
  } else {
    const base = drop.all ? [] : DEFAULT_CAPABILITIES;
    for (const name of base) {
      if (available.has(name) && !drop.named.includes(name)) chosen.add(name);
    }
    for (const name of add.named) chosen.add(name);
  }
  return CAPABILITIES.filter((name) => chosen.has(name));
};

/** The capabilities whose bits are set in a mask as `/proc/<pid>/status` prints it ("CapBnd"). */
export const capabilitiesOfMask = (hexMask: string): Capability[] => {
  const mask = BigInt(`0x${hexMask.trim()}`);
  return CAPABILITIES.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
};
