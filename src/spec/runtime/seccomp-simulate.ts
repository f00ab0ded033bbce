/** Runs a filter as the kernel would: for tests and for checking a program before it is used. */
import { invariant } from "#lib/errors.ts";
import { BPF } from "#spec/runtime/seccomp-assembler.ts";

/** What the kernel shows a filter (`struct seccomp_data`). */
export interface SeccompCall {
  /** The number as the kernel reports it: x32's with its marker bit. Unsigned. */
  readonly nr: number;
  /** `AUDIT_ARCH_…`. */
  readonly arch: number;
  /** Up to six, unsigned 64 bits; missing ones are 0. */
  readonly args?: readonly bigint[];
}

const WORDS = 16;

const dataOf = (call: SeccompCall): Uint32Array => {
  const data = new Uint32Array(WORDS);
  data[0] = call.nr;
  data[1] = call.arch;
  (call.args ?? []).forEach((value, index) => {
    data[4 + index * 2] = Number(value & 0xffffffffn);
    data[5 + index * 2] = Number(value >> 32n);
  });
  return data;
};

/**
 * The verdict (`SECCOMP_RET_…` with its data) of a program for a call.
 * @throws an invariant's Error for what the kernel would refuse to load.
 */
export const simulateBpf = (program: Uint8Array, call: SeccompCall): number => {
  invariant(program.byteLength % 8 === 0, "a filter is whole instructions of 8 bytes");
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const data = dataOf(call);
  let accumulator = 0;
  let at = 0;
  const branch = (isTrue: boolean): number =>
    at + (isTrue ? view.getUint8(at + 2) : view.getUint8(at + 3)) * 8;
  for (;;) {
    invariant(at < program.byteLength, `the filter runs past its end at byte ${at}`);
    const code = view.getUint16(at, true);
    const k = view.getUint32(at + 4, true);
    switch (code) {
      case BPF.LOAD: {
        const word = k % 4 === 0 ? data[k / 4] : undefined;
        invariant(word !== undefined, `the filter loads from offset ${k}`);
        accumulator = word;
        break;
      }
      case BPF.AND:
        accumulator = (accumulator & k) >>> 0;
        break;
      case BPF.JA:
        at += k * 8;
        break;
      case BPF.JEQ:
        at = branch(accumulator === k);
        break;
      case BPF.JGT:
        at = branch(accumulator > k);
        break;
      case BPF.JGE:
        at = branch(accumulator >= k);
        break;
      case BPF.JSET:
        at = branch((accumulator & k) !== 0);
        break;
      case BPF.RET:
        return k;
      default:
        invariant(false, `the filter has the unknown opcode ${code} at byte ${at}`);
    }
    at += 8;
  }
};
