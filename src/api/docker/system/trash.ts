/** naru's own: what was removed, brought back or gone for good. */
import type { Call } from "#api/docker/call.ts";
import { get, post, type Route } from "#api/docker/route.ts";

const list = async (call: Call): Promise<void> => {
  const trash = await call.backend.trash();
  call.json(200, { Items: (await trash.list()).map(wireItem) });
};

type Item = Awaited<ReturnType<Awaited<ReturnType<Call["backend"]["trash"]>>["list"]>>[number];

const wireItem = (item: Item): object => ({
  Id: item.id,
  Batch: item.batch,
  Kind: item.kind,
  Key: item.key,
  Name: item.name,
  RemovedAt: item.removedAt,
  ExpiresAt: item.expiresAt,
  Size: item.sizeBytes,
});

const undo = async (call: Call): Promise<void> => {
  const trash = await call.backend.trash();
  const name = call.query.text("name");
  const { restored, failed } = await trash.undo(name === "" ? undefined : name);
  call.json(200, {
    Restored: restored.map(({ kind, name: Name }) => ({ Kind: kind, Name })),
    Failed: failed.map(({ kind, name: Name, error }) => ({ Kind: kind, Name, Error: error })),
  });
};

const empty = async (call: Call): Promise<void> => {
  const { count, sizeBytes } = await (await call.backend.trash()).empty();
  call.json(200, { Count: count, SpaceReclaimed: sizeBytes });
};

export const trashRoutes: readonly Route[] = [
  get("/naru/trash", list),
  post("/naru/trash/undo", undo),
  post("/naru/trash/empty", empty),
];
