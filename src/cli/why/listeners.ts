/** What listens inside a container, out of the kernel's tables /proc/net/tcp and tcp6. */

const LISTEN_STATE = "0A";

export interface Listener {
  readonly port: number;
  readonly isLoopback: boolean;
}

const isLoopbackHex = (hex: string): boolean =>
  hex.length === 8
    ? hex.endsWith("7F")
    : hex === "00000000000000000000000001000000" ||
      (hex.startsWith("0000000000000000FFFF0000") && hex.endsWith("7F"));

/** Lines of either table; others are passed over. */
export const parseListeners = (text: string): Listener[] => {
  const listeners: Listener[] = [];
  for (const line of text.split("\n")) {
    const [, local = "", , state] = line.trim().split(/\s+/);
    if (state !== LISTEN_STATE) continue;
    const [address = "", port = ""] = local.split(":");
    listeners.push({ port: Number.parseInt(port, 16), isLoopback: isLoopbackHex(address) });
  }
  return listeners;
};
