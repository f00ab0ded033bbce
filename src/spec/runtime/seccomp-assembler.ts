/**
 * Classic BPF from its end to its start. Jumps only go forward, so when an instruction is written
 * all its targets exist already and their distance is known: no second pass, no fix-ups.
 * (Kernel: Documentation/networking/filter.rst, <linux/filter.h>, seccomp(2).)
 */

/** Opcodes seccomp allows and we use. */
export const BPF = {
  /** Load a 32-bit word of `seccomp_data` into the accumulator. */
  LOAD: 0x20,
  /** Accumulator &= k. */
  AND: 0x54,
  /** Jump by k. */
  JA: 0x05,
  JEQ: 0x15,
  JGT: 0x25,
  JGE: 0x35,
  JSET: 0x45,
  RET: 0x06,
} as const;

/** Most instructions the kernel takes (BPF_MAXINSNS). */
export const MAX_INSTRUCTIONS = 4096;

const INSTRUCTION_BYTES = 8;

/** How far a conditional jump reaches: its offsets are one byte each. */
const MAX_REACH = 255;

/** Where a jump goes: a verdict, or an instruction counted from the program's end. */
export type JumpTarget =
  | { readonly kind: "return"; readonly value: number }
  | { readonly kind: "instruction"; readonly fromEnd: number };

export const returnTarget = (value: number): JumpTarget => ({ kind: "return", value });

export class BpfAssembler {
  /** [code, jt, jf, k], the last instruction of the program first. */
  readonly #instructions: [number, number, number, number][] = [];
  /** The nearest place to reach a verdict or a far instruction, from the program's end. */
  readonly #near = new Map<number, number>();

  get size(): number {
    return this.#instructions.length;
  }

  /** Accumulator = the 32-bit word at `offset` of `seccomp_data`; then goes on at `next`. */
  load(offset: number, next: JumpTarget): JumpTarget {
    return this.#then(BPF.LOAD, offset, next);
  }

  /** Accumulator &= mask; then goes on at `next`. */
  and(mask: number, next: JumpTarget): JumpTarget {
    return this.#then(BPF.AND, mask, next);
  }

  /** Compares the accumulator with `k`. */
  branch(
    code: typeof BPF.JEQ | typeof BPF.JGT | typeof BPF.JGE | typeof BPF.JSET,
    k: number,
    yes: JumpTarget,
    no: JumpTarget,
  ): JumpTarget {
    // Making the second target near may write one instruction, which moves the first further off.
    const yesAt = this.#reach(yes, MAX_REACH - 1);
    const noAt = this.#reach(no, MAX_REACH);
    return this.#write(code, this.size - 1 - yesAt, this.size - 1 - noAt, k);
  }

  /** The program as the kernel's `struct sock_filter[]`, little endian, `entry` first. */
  assemble(entry: JumpTarget): Uint8Array {
    this.#fallThrough(entry);
    const bytes = new Uint8Array(this.size * INSTRUCTION_BYTES);
    const view = new DataView(bytes.buffer);
    this.#instructions.toReversed().forEach(([code, jt, jf, k], index) => {
      const at = index * INSTRUCTION_BYTES;
      view.setUint16(at, code, true);
      view.setUint8(at + 2, jt);
      view.setUint8(at + 3, jf);
      view.setUint32(at + 4, k, true);
    });
    return bytes;
  }

  #then(code: number, k: number, next: JumpTarget): JumpTarget {
    this.#fallThrough(next);
    return this.#write(code, 0, 0, k);
  }

  /** Makes `target` what runs after the next instruction to be written. */
  #fallThrough(target: JumpTarget): void {
    const isNext = target.kind === "instruction" && target.fromEnd === this.size - 1;
    if (!isNext) this.#stepTo(target);
  }

  /** An instruction that does `target`: the verdict itself or an unconditional jump there. */
  #stepTo(target: JumpTarget): number {
    if (target.kind === "return") this.#write(BPF.RET, 0, 0, target.value);
    else this.#write(BPF.JA, 0, 0, this.size - 1 - target.fromEnd);
    this.#near.set(keyOf(target), this.size - 1);
    return this.size - 1;
  }

  /** A place at most `reach` before the next instruction that leads to `target`. */
  #reach(target: JumpTarget, reach: number): number {
    const direct = target.kind === "instruction" ? target.fromEnd : undefined;
    for (const place of [direct, this.#near.get(keyOf(target))]) {
      if (place !== undefined && this.size - 1 - place <= reach) return place;
    }
    return this.#stepTo(target);
  }

  #write(code: number, jt: number, jf: number, k: number): JumpTarget {
    this.#instructions.push([code, jt, jf, k]);
    return { kind: "instruction", fromEnd: this.size - 1 };
  }
}

/** Verdicts are unsigned, so negative keys are free for instructions. */
const keyOf = (target: JumpTarget): number =>
  target.kind === "return" ? target.value : -1 - target.fromEnd;
