/** Volumes renamed, mounted, copied, removed and brought back under a daemon that dies. */
import { expect } from "bun:test";

import { gone, startable, type Scenario } from "./scenario.ts";
import { IMAGE } from "./world.ts";

/** The content is under one of both names, and the other one is free. */
export const VOLUME_RENAME: Scenario = {
  prepare: async (w) => {
    expect((await w.api("POST", "/volumes/create", { body: { Name: "old" } })).status).toBe(201);
    await w.cli("run", "--rm", "-v", "old:/v", IMAGE, "sh", "-c", "echo kept > /v/f");
  },
  trigger: (w) => w.attempt("POST", "/naru/volumes/old/rename?name=new"),
  verify: async (w) => {
    const isOld = (await w.api("GET", "/volumes/old")).status === 200;
    expect((await w.api("GET", "/volumes/new")).status).toBe(isOld ? 404 : 200);
    const name = isOld ? "old" : "new";
    const out = await w.cli("run", "--rm", "-v", `${name}:/v`, IMAGE, "cat", "/v/f");
    expect(out.stdout).toBe("kept\n");
    expect((await w.api("DELETE", `/volumes/${name}`)).status).toBe(204);
  },
};

/** Removed or there, never neither: what is removed can be brought back with its content. */
export const VOLUME_REMOVE: Scenario = {
  flags: ["--undo-time", "1h"],
  prepare: async (w) => {
    await w.api("POST", "/volumes/create", { body: { Name: "data" } });
    await w.cli("run", "--rm", "-v", "data:/v", IMAGE, "sh", "-c", "echo kept > /v/f");
  },
  trigger: (w) => w.attempt("DELETE", "/volumes/data"),
  verify: async (w) => {
    if ((await w.api("GET", "/volumes/data")).status === 404) {
      expect((await w.api("POST", "/naru/trash/undo?name=data")).status).toBe(200);
    }
    const out = await w.cli("run", "--rm", "-v", "data:/v", IMAGE, "cat", "/v/f");
    expect(out.stdout).toBe("kept\n");
    await w.api("DELETE", "/volumes/data");
    await w.api("POST", "/naru/trash/empty");
  },
};

export const VOLUME_UNDO: Scenario = {
  ...VOLUME_REMOVE,
  trigger: async (w) => {
    await w.api("DELETE", "/volumes/data");
    await w.attempt("POST", "/naru/trash/undo");
  },
};

export const UNDO: Scenario = {
  flags: ["--undo-time", "1h"],
  trigger: async (w) => {
    await w.up("box", "sh", "-c", "echo own > /own; exec sleep 600");
    await w.api("DELETE", "/containers/box?force=1");
    await w.attempt("POST", "/naru/trash/undo");
  },
  verify: async (w) => {
    await startable(w, "box");
    expect((await w.cli("exec", "box", "cat", "/own")).stdout).toBe("own\n");
    await gone(w, "box");
    await w.api("POST", "/naru/trash/empty");
  },
};

/** A mount made for a container that did not come to run goes; the volume works. */
export const VOLUME_MOUNT: Scenario = {
  prepare: async (w) => {
    const DriverOpts = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
    await w.api("POST", "/volumes/create", { body: { Name: "memory", DriverOpts } });
    const HostConfig = { Binds: ["memory:/m"] };
    const body = { Image: IMAGE, Cmd: ["sleep", "600"], HostConfig };
    expect((await w.api("POST", "/containers/create?name=box", { body })).status).toBe(201);
  },
  trigger: (w) => w.attempt("POST", "/containers/box/start"),
  verify: async (w) => {
    const mounts = await w.world.exec(["grep", "-c", "volumes/memory", "/proc/self/mounts"]);
    expect(mounts.stdout.trim()).toBe("0");
    await startable(w, "box");
    await gone(w, "box");
    expect((await w.api("DELETE", "/volumes/memory")).status).toBe(204);
  },
};

/** Who stood still for a copy goes on; half a copy is no volume. */
export const VOLUME_COPY: Scenario = {
  prepare: async (w) => {
    const out = await w.cli("run", "-d", "--name", "box", "-v", "data:/d", IMAGE, "sleep", "600");
    expect(out.code).toBe(0);
  },
  trigger: (w) => w.attempt("POST", "/naru/volumes/data/clone", { body: { Name: "copy" } }),
  verify: async (w) => {
    expect((await w.state("box"))?.Status).toBe("running");
    expect((await w.cli("exec", "box", "echo", "goes on")).stdout).toBe("goes on\n");
    expect((await w.api("GET", "/volumes/copy")).status).toBe(404);
    const again = await w.api("POST", "/naru/volumes/data/clone", { body: { Name: "copy" } });
    expect(again.status).toBe(201);
    await gone(w, "box");
    for (const name of ["data", "copy"]) await w.api("DELETE", `/volumes/${name}`);
  },
};
