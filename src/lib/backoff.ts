/** Pauses between tries: doubling, with chance in it so that many callers do not come back together. */
import { randomHex } from "#lib/clock.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** `attempt` 0 is the first pause. Between half and the whole of the doubled time. */
export const backoffMs = (attempt: number, { firstMs, mostMs }: BackoffOptions): number => {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return whole / 2 + (whole / 2) * (Number.parseInt(randomHex(2), 16) / 0xffff);
};
