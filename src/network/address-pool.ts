/**
 * The addresses of one subnet: one bit each, handed out round robin so that a released address rests
 * as long as possible. A released address is not free before `isGone` says that the namespace that held
 * it has gone, for the kernel takes namespaces down in its own time. In memory only: what is in use
 * is said again at start by those who keep it.
 */
import { NaruError } from "#lib/errors.ts";
import {
  broadcastOf,
  type Cidr,
  contains,
  formatCidr,
  formatIpv4,
  hasOuterAddresses,
  networkOf,
  sizeOf,
} from "#network/ipv4.ts";

export class AddressPool {
  readonly #block: Cidr;
  readonly #range: Cidr;
  readonly #bits: Uint32Array;
  readonly #resting = new Map<number, () => boolean>();
  #next: number;

  /** `range` narrows what is handed out without being asked for by name. */
  constructor(subnet: Cidr, range: Cidr = subnet) {
    this.#block = { address: networkOf(subnet), prefix: subnet.prefix };
    this.#bits = new Uint32Array(Math.ceil(sizeOf(subnet) / 32));
    this.#range = range;
    this.#next = networkOf(range);
    if (!hasOuterAddresses(subnet)) return;
    this.#set(this.#block.address);
    this.#set(broadcastOf(subnet));
  }

  /** The next free address. Throws resource_exhausted. */
  allocate(): number {
    const first = networkOf(this.#range);
    const size = sizeOf(this.#range);
    for (let step = 0; step < size; step += 1) {
      const candidate = this.#next;
      this.#next = candidate + 1 < first + size ? candidate + 1 : first;
      if (this.#isFree(candidate)) return this.#take(candidate);
    }
    throw new NaruError(
      "resource_exhausted",
      `no available IPv4 addresses on this network's address pools: "${formatCidr(this.#block)}" is full`,
    );
  }

  /** Marks one named address as used. Throws invalid_argument outside of the subnet, conflict when taken. */
  claim(address: number): number {
    if (!contains(this.#block, address)) {
      throw new NaruError(
        "invalid_argument",
        `address "${formatIpv4(address)}" does not belong to the subnet "${formatCidr(this.#block)}"`,
      );
    }
    if (!this.#isFree(address)) {
      throw new NaruError("conflict", `address "${formatIpv4(address)}" is already in use`);
    }
    return this.#take(address);
  }

  /** Gives an address back; it rests until `isGone` (asked only when its turn comes) says true. */
  release(address: number, isGone: () => boolean = () => true): void {
    if (!this.#isSet(address)) return;
    this.#resting.set(address, isGone);
  }

  /** Given back, but its holder has not gone yet: that takes the kernel some milliseconds. */
  isResting(address: number): boolean {
    return this.#isSet(address) && this.#resting.get(address)?.() === false;
  }

  /** Full, but only until a namespace has gone: `allocate` can be asked again in a moment. */
  isWaitingForRest(): boolean {
    const first = networkOf(this.#range);
    const size = sizeOf(this.#range);
    if (this.#resting.size === 0) return false;
    // Who rests is asked only when nothing else is left: each question is one to the kernel.
    for (let step = 0; step < size; step += 1) {
      if (!this.#isSet(first + step)) return false;
    }
    const resting = [...this.#resting].filter(([address]) => contains(this.#range, address));
    return resting.length > 0 && resting.every(([, isGone]) => !isGone());
  }

  #isFree(address: number): boolean {
    if (!this.#isSet(address)) return true;
    if (this.#resting.get(address)?.() !== true) return false;
    this.#resting.delete(address);
    this.#clear(address);
    return true;
  }

  #take(address: number): number {
    this.#set(address);
    return address;
  }

  #isSet(address: number): boolean {
    const bit = address - this.#block.address;
    return ((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  #set(address: number): void {
    const bit = address - this.#block.address;
    this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) | (1 << (bit & 31));
  }

  #clear(address: number): void {
    const bit = address - this.#block.address;
    this.#bits[bit >>> 5] = (this.#bits[bit >>> 5] ?? 0) & ~(1 << (bit & 31));
  }
}
