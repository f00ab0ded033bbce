import { BLOCK_BYTES } from "#lib/tar/entry.ts";

/** Sum of all bytes of a header block. Four at a time, in two lanes of 16 bits each: 128 words cannot overflow them. */
export const blockSum = (block: Uint8Array): number => {
  let sum = 0;
  if (block.byteOffset % 4 !== 0) {
    for (let at = 0; at < BLOCK_BYTES; at++) sum += block[at] ?? 0;
    return sum;
  }
  const words = new Uint32Array(block.buffer, block.byteOffset, BLOCK_BYTES / 4);
  let even = 0;
  let odd = 0;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? 0;
    even += word & 0x00ff00ff;
    odd += (word >>> 8) & 0x00ff00ff;
  }
  return (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
};
