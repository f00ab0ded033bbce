/** Files read while their container starts, runs and ends. */
import { expect } from "bun:test";

import { api, BUSYBOX, check, docker } from "../harness/check.ts";

check("a container starts, changes files and ends while others read its files", async (t) => {
  const name = await t.create(BUSYBOX, "sh", "-c", "echo more >>/etc/marker && cat /etc/marker");
  let isOver = false;
  const statuses = new Set<number>();
  const read = async (path: string): Promise<void> => {
    while (!isOver) statuses.add((await api("GET", `/containers/${name}/${path}`)).status);
  };
  const readers = ["archive?path=/etc", "export"].map((path) => read(path));
  try {
    for (let run = 1; run <= 10; run += 1) {
      const { code, stdout, stderr } = await docker(["start", "-a", name]);
      expect([code, stderr, stdout.trim().split("\n").length]).toEqual([0, "", run + 1]);
    }
  } finally {
    isOver = true;
    await Promise.all(readers);
  }
  expect([...statuses]).toEqual([200]);
});
