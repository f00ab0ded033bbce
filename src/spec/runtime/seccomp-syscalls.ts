/**
 * Which number a system call has on which ABI, and how the kernel names that ABI to a filter.
 * A machine runs its native ABI and, on 64-bit kernels, the older ones beside it.
 */
import { SYSCALL_TABLE } from "#spec/runtime/seccomp-syscalls.gen.ts";

/** The ABIs in the order of the table's columns. */
export const SYSCALL_ABIS = ["x86_64", "x86", "x32", "aarch64", "arm"] as const;
export type SyscallAbi = (typeof SYSCALL_ABIS)[number];

/** Set in every x32 number; x32 shares its AUDIT_ARCH with x86_64 (seccomp(2), "Caveats"). */
export const X32_BIT = 0x40000000;

/** `seccomp_data.arch` per ABI (<linux/audit.h>). */
export const AUDIT_ARCH: Readonly<Record<SyscallAbi, number>> = {
  x86_64: 0xc000003e,
  x86: 0x40000003,
  x32: 0xc000003e,
  aarch64: 0xc00000b7,
  arm: 0x40000028,
};

/** How many bits of an argument conditions look at: the ABI's word. */
export const ABI_BITS: Readonly<Record<SyscallAbi, 32 | 64>> = {
  x86_64: 64,
  x86: 32,
  x32: 32,
  aarch64: 64,
  arm: 32,
};

const COLUMN: Readonly<Record<SyscallAbi, number>> = {
  x86_64: 1,
  x86: 2,
  x32: 3,
  aarch64: 4,
  arm: 5,
};

/** Lines of the table by name. Split at the first use, not at start. */
let lines: ReadonlyMap<string, readonly string[]> | undefined;

const readTable = (): ReadonlyMap<string, readonly string[]> => {
  const map = new Map<string, readonly string[]>();
  for (const line of SYSCALL_TABLE.trim().split("\n")) {
    const fields = line.split(" ");
    map.set(fields[0] ?? "", fields);
  }
  return map;
};

/** A call's number on an ABI, x32's with its marker; undefined where there is no such call. */
export const syscallNumber = (abi: SyscallAbi, name: string): number | undefined => {
  lines ??= readTable();
  const field = lines.get(name)?.[COLUMN[abi]];
  if (field === undefined || field === "-") return undefined;
  return abi === "x32" ? Number(field) + X32_BIT : Number(field);
};

/** The names of all calls of all ABIs. */
export const syscallNames = (): string[] => {
  lines ??= readTable();
  return [...lines.keys()];
};

/**
 * 32-bit x86 has two ways into the same call: `socketcall(2)` and `ipc(2)` take the number of the
 * real call as their first argument (<linux/net.h>, <linux/ipc.h>). A rule for `socket` must hold
 * on both ways.
 */
export interface MultiplexedCall {
  readonly through: "socketcall" | "ipc";
  readonly call: number;
}

const SOCKET_CALLS =
  "socket bind connect listen accept getsockname getpeername socketpair send recv sendto " +
  "recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";

const IPC_CALLS: Readonly<Record<string, number>> = {
  semop: 1,
  semget: 2,
  semctl: 3,
  semtimedop: 4,
  msgsnd: 11,
  msgrcv: 12,
  msgget: 13,
  msgctl: 14,
  shmat: 21,
  shmdt: 22,
  shmget: 23,
  shmctl: 24,
};

/** The calls that 32-bit x86 also reaches through a multiplexer. */
export const MULTIPLEXED_CALLS: ReadonlyMap<string, MultiplexedCall> = new Map<
  string,
  MultiplexedCall
>([
  ...SOCKET_CALLS.split(" ").map((name, index): [string, MultiplexedCall] => [
    name,
    { through: "socketcall", call: index + 1 },
  ]),
  ...Object.entries(IPC_CALLS).map(([name, call]): [string, MultiplexedCall] => [
    name,
    { through: "ipc", call },
  ]),
]);
