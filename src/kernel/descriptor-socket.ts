/** An open descriptor on the runtime's event loop. */
import type { Socket, SocketHandler } from "bun";

export interface DescriptorSocketOptions {
  readonly fd: number;
  readonly socket: SocketHandler<undefined>;
  /** Keep our side writable after the other side has ended. */
  readonly allowHalfOpen?: boolean;
}

/** Bun.connect takes a descriptor, which it owns from then on; its type declarations leave that form out. */
const connect = Bun.connect as unknown as (options: DescriptorSocketOptions) => Promise<Socket>;

export const connectDescriptor = (options: DescriptorSocketOptions): Promise<Socket> =>
  connect(options);
