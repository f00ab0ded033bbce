/** What a crash test does around the daemon's death, and what scenarios look at. */
import { expect } from "bun:test";

import { isAlive, type CrashWorld } from "./world.ts";

export interface Scenario {
  /** Made before the daemon that will die. */
  prepare?(w: CrashWorld): Promise<void>;
  /** Of the daemons that die and come after. */
  readonly flags?: readonly string[];
  /** What reaches the failpoint. */
  trigger(w: CrashWorld): Promise<unknown>;
  /** While no daemon is there. */
  meanwhile?(w: CrashWorld): Promise<void>;
  /** What must hold after the restart; makes its own clean-up. */
  verify(w: CrashWorld): Promise<void>;
}

export const gone = async (w: CrashWorld, name: string): Promise<void> => {
  const reply = await w.api("DELETE", `/containers/${name}?force=1&v=1`);
  expect([204, 404]).toContain(reply.status);
  expect(await w.state(name)).toBeUndefined();
};

/** The container is running with its process, or can be started; both ends in a running one. */
export const startable = async (w: CrashWorld, name: string): Promise<void> => {
  const state = await w.state(name);
  expect(state).toBeDefined();
  if (state?.Running === true) expect(isAlive(state.Pid)).toBe(true);
  else expect((await w.api("POST", `/containers/${name}/start`)).status).toBe(204);
  const out = await w.cli("exec", name, "echo", "inside");
  expect(out.stdout).toBe("inside\n");
};
