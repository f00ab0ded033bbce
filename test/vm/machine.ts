/** One run of the virtual machine: started, listened to, and ended in every case. */
import type { Base } from "./base.ts";
import { programPath } from "./requirements.ts";

export interface MachineOptions {
  readonly base: Base;
  readonly payloadDisk: string;
  readonly quotaDisk: string;
  /** "tcg" (software) or "kvm". */
  readonly accelerator: string;
  /** What the kernel, the first process and the daemon write. */
  readonly consolePath: string;
  readonly timeoutMs: number;
  readonly onLine: (line: string) => void;
}

export interface MachineEnd {
  readonly code: number;
  readonly isTimedOut: boolean;
  readonly complaint: string;
}

const CPUS = 2;
const MEMORY_MIB = 1536;

const disk = (path: string, index: number, options: string): string[] => [
  "-drive",
  `file=${path},format=raw,if=none,id=disk${index},${options}`,
  "-device",
  `virtio-blk-pci,drive=disk${index}`,
];

const commandOf = ({
  base,
  payloadDisk,
  quotaDisk,
  accelerator,
  consolePath,
}: MachineOptions): string[] => [
  programPath("qemu-system-x86_64"),
  "-machine",
  "q35",
  "-accel",
  accelerator === "tcg" ? "tcg,thread=multi" : accelerator,
  "-cpu",
  accelerator === "kvm" ? "host" : "max",
  "-smp",
  `${CPUS}`,
  "-m",
  `${MEMORY_MIB}`,
  "-nodefaults",
  "-no-user-config",
  "-no-reboot",
  "-display",
  "none",
  "-nic",
  "none",
  "-kernel",
  base.kernel,
  "-initrd",
  base.initramfs,
  "-append",
  // No tsc=reliable: calibrated on a busy host, the emulated TSC made time pass twelve times too fast.
  "console=ttyS0 quiet panic=-1 mitigations=off cgroup_no_v1=all",
  // What the machine writes to its root goes to a nameless file that ends with it.
  ...disk(base.disk, 0, "snapshot=on"),
  ...disk(payloadDisk, 1, "readonly=on"),
  ...disk(quotaDisk, 2, "snapshot=on"),
  "-chardev",
  `file,id=console,path=${consolePath}`,
  "-serial",
  "chardev:console",
  "-chardev",
  "stdio,id=results,signal=off",
  "-serial",
  "chardev:results",
  "-device",
  "virtio-rng-pci",
];

/** Resolves when the machine is off. It does not outlive this process. */
export const runMachine = async (options: MachineOptions): Promise<MachineEnd> => {
  const child = Bun.spawn(commandOf(options), { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let isTimedOut = false;
  const kill = (): void => child.kill("SIGKILL");
  const timer = setTimeout(() => {
    isTimedOut = true;
    kill();
  }, options.timeoutMs);
  process.on("exit", kill);
  const complaint = new Response(child.stderr).text();
  try {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) options.onLine(line.trimEnd());
    }
    return { code: await child.exited, isTimedOut, complaint: (await complaint).trim() };
  } finally {
    clearTimeout(timer);
    kill();
    await child.exited;
    process.off("exit", kill);
  }
};
