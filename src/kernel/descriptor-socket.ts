/** An open descriptor on the runtime's event loop. */
import type { Socket, SocketHandler } from "bun";

export interface DescriptorSocketOptions<Data = undefined> {
  readonly fd: number;
  readonly socket: SocketHandler<Data>;
  readonly data?: Data;
  /** Keep our side writable after the other side has ended. */
  readonly allowHalfOpen?: boolean;
}

/** Bun.connect takes a descriptor, which it owns from then on; its type declarations leave that form out. */
const connect = Bun.connect as unknown as <Data>(
  options: DescriptorSocketOptions<Data>,
) => Promise<Socket<Data>>;

export const connectDescriptor = <Data = undefined>(
  options: DescriptorSocketOptions<Data>,
): Promise<Socket<Data>> => connect(options);
