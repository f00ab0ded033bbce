/**
 * The resolver's address inside a sandbox. Sockets are opened with this thread in the namespace; they
 * listen on ports the kernel picks, so that a container may have port 53 for itself, and stateless rules
 * put 53 in place of them on the way (no connection tracking in the container's namespace).
 */
import { NaruError } from "#lib/errors.ts";
import { RESOLVER_ADDRESS } from "#network/files.ts";

const DNS_TABLE = "naru_dns";
const MAX_MESSAGE_BYTES = 65_535;
const STREAM_IDLE_SECONDS = 10;

export interface DnsHandlers {
  datagram(bytes: Uint8Array, reply: (answer: Uint8Array) => void): void;
  /** One message of a stream, without its length. */
  message(bytes: Uint8Array, reply: (answer: Uint8Array) => void): void;
}

export interface DnsSockets {
  readonly udpPort: number;
  readonly tcpPort: number;
  close(): void;
}

/** `Bun.listen`, which only the daemon's root may hand out. */
export type ListenTcp = (
  options: Bun.TCPSocketListenOptions<{ received: Buffer }>,
) => Bun.TCPSocketListener<{ received: Buffer }>;

/** Rules for a namespace; they replace those of an earlier daemon. */
export const renderDnsRules = (udpPort: number, tcpPort: number): string => {
  const table = `ip ${DNS_TABLE}`;
  const rule = (text: string): string => `add rule ${table} output ${text}\n`;
  return (
    `add table ${table}\ndelete table ${table}\nadd table ${table}\n` +
    `add chain ${table} output { type filter hook output priority -300; policy accept; }\n` +
    rule(`ip daddr ${RESOLVER_ADDRESS} udp dport 53 udp dport set ${udpPort}`) +
    rule(`ip daddr ${RESOLVER_ADDRESS} tcp dport 53 tcp dport set ${tcpPort}`) +
    rule(`ip saddr ${RESOLVER_ADDRESS} udp sport ${udpPort} udp sport set 53`) +
    rule(`ip saddr ${RESOLVER_ADDRESS} tcp sport ${tcpPort} tcp sport set 53`)
  );
};

const framed = (message: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([message.length >>> 8, message.length & 255]), message]);

/** Port 0: one that the kernel picks. */
interface Place {
  readonly address: string;
  readonly port: number;
}

const WITHIN: Place = { address: RESOLVER_ADDRESS, port: 0 };

const listenTcp = (listen: ListenTcp, handlers: DnsHandlers, { address, port }: Place) =>
  listen({
    hostname: address,
    port,
    data: { received: Buffer.alloc(0) },
    socket: {
      open: (socket) => {
        socket.data = { received: Buffer.alloc(0) };
        socket.timeout(STREAM_IDLE_SECONDS);
      },
      timeout: (socket) => void socket.end(),
      data: (socket, bytes) => {
        let received = Buffer.concat([socket.data.received, bytes]);
        if (received.length > 2 * MAX_MESSAGE_BYTES) return void socket.end();
        while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
          const end = received.readUInt16BE(0) + 2;
          handlers.message(
            received.subarray(2, end),
            (answer) => void socket.write(framed(answer)),
          );
          received = received.subarray(end);
        }
        socket.data.received = received;
        socket.timeout(STREAM_IDLE_SECONDS);
      },
      // The client went away: nothing to do for it any more.
      error: () => undefined,
    },
  });

/** `inside` runs its work with this thread in the namespace. Throws what the kernel refuses. */
export const openDnsSockets = async (
  listen: ListenTcp,
  inside: <T>(work: () => T) => T,
  handlers: DnsHandlers,
  place = WITHIN,
): Promise<DnsSockets> => {
  // The sockets are made within these calls; only their announcement comes later.
  const opened = inside(() => {
    const udp = Bun.udpSocket({
      hostname: place.address,
      port: place.port,
      binaryType: "uint8array",
      socket: {
        data: (socket, bytes, port, address) =>
          handlers.datagram(bytes, (answer) => void socket.send(answer, port, address)),
        // A client that closed its socket before the answer came.
        error: () => undefined,
      },
    });
    try {
      return { udp, tcp: listenTcp(listen, handlers, place) };
    } catch (error) {
      void udp.then((socket) => socket.close());
      throw error;
    }
  });
  const { tcp } = opened;
  let udp: Awaited<typeof opened.udp>;
  try {
    udp = await opened.udp;
  } catch (cause) {
    tcp.stop(true);
    throw new NaruError("internal", "the resolver's socket could not be opened", { cause });
  }
  return {
    udpPort: udp.port,
    tcpPort: tcp.port,
    close: () => {
      udp.close();
      tcp.stop(true);
    },
  };
};
