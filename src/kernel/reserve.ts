/**
 * Holds a port of this host without serving it: socket(2), bind(2), and no listener behind.
 *
 * A plain bound socket is not enough. With SO_REUSEADDR a later listener of somebody else is let in;
 * without it our own bind fails for a minute after a server on that port has closed connections
 * (TIME_WAIT, see socket(7)). So a TCP port is taken the way servers take it (SO_REUSEADDR, listen),
 * which fails when somebody listens there; then the listening ends, the binding stays, and the
 * permission to share is withdrawn. Connections that come by are refused, not accepted.
 */
import { parseIp } from "#kernel/ip-bytes.ts";
import { checked, libc } from "#kernel/libc.ts";

export interface PortKernel {
  /**
   * Takes `port` of the `address` ("0.0.0.0" or "::" = all) and returns the descriptor that holds it,
   * for `closePort`. Throws with errno EADDRINUSE when anybody has it, EADDRNOTAVAIL
   * when the host has no such address.
   */
  reservePort(
    address: string,
    port: number,
    protocol: "tcp" | "udp",
    /** A process of the same user that shares the port (SO_REUSEPORT) may have it at this moment. */
    isShared?: boolean,
  ): number;
  /** Gives the port back. */
  closePort(fd: number): void;
  /** While it is on, a process of the same user may listen on the port too (SO_REUSEPORT, socket(7)). */
  sharePort(fd: number, isShared: boolean): void;
}

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const SHUT_RDWR = 2;

/** struct sockaddr_in: family in the host's order, port and address in the network's. */
const ipv4Address = (address: string, port: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  bytes[0] = AF_INET;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address.split(".").map(Number), 4);
  return bytes;
};

/** struct sockaddr_in6: family, port, flow information, address, scope. */
const ipv6Address = (address: string, port: number): Uint8Array => {
  const bytes = new Uint8Array(28);
  bytes[0] = AF_INET6;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(parseIp(address), 8);
  return bytes;
};

const setReuse = (fd: number, value: 0 | 1, subject: string): void =>
  void checked(
    libc().setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, new Int32Array([value]), 4),
    "setsockopt",
    subject,
  );

const bindTcp = (fd: number, address: Uint8Array, isShared: boolean, subject: string): void => {
  const { bind, listen, shutdown } = libc();
  setReuse(fd, 1, subject);
  checked(bind(fd, address, address.length), "bind", subject);
  // Beside the one who shares the port, a listener would be given some of its connections.
  if (!isShared) {
    checked(listen(fd, 0), "listen", subject);
    checked(shutdown(fd, SHUT_RDWR), "shutdown", subject);
  }
  setReuse(fd, 0, subject);
};

const setShared = (fd: number, isShared: boolean, subject: string): void =>
  void checked(
    libc().setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, new Int32Array([isShared ? 1 : 0]), 4),
    "setsockopt",
    subject,
  );

const reservePort = (
  address: string,
  port: number,
  protocol: "tcp" | "udp",
  isShared = false,
): number => {
  const subject = `${address}:${port}/${protocol}`;
  const type = (protocol === "tcp" ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
  const isV6 = address.includes(":");
  const fd = checked(libc().socket(isV6 ? AF_INET6 : AF_INET, type, 0), "socket", subject);
  try {
    const bytes = isV6 ? ipv6Address(address, port) : ipv4Address(address, port);
    // The same port of IPv4 is somebody else's business.
    if (isV6) {
      const { setsockopt } = libc();
      checked(
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, new Int32Array([1]), 4),
        "setsockopt",
        subject,
      );
    }
    if (isShared) setShared(fd, true, subject);
    if (protocol === "tcp") bindTcp(fd, bytes, isShared, subject);
    else checked(libc().bind(fd, bytes, bytes.length), "bind", subject);
    if (isShared) setShared(fd, false, subject);
    return fd;
  } catch (error) {
    libc().close(fd);
    throw error;
  }
};

export const portKernel: PortKernel = {
  reservePort,
  sharePort: (fd, isShared) => setShared(fd, isShared, `descriptor ${fd}`),
  closePort: (fd) => void checked(libc().close(fd), "close", `descriptor ${fd}`),
};
