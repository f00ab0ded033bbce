/** naru's own: who reaches which published port, ports of containers that exist, and the front door. */
import { checkFields } from "#api/docker/body-fields.ts";
import type { Call } from "#api/docker/call.ts";
import { PORT_MAP } from "#api/docker/container/create-decode.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import type { PortChange } from "#spec/docker/port-reach.ts";

const list = async (call: Call): Promise<void> => call.json(200, await call.backend.ports());

const frontDoor = async (call: Call): Promise<void> =>
  call.json(200, await call.backend.frontDoor());

const change = async (call: Call): Promise<void> => {
  const fields = { Add: PORT_MAP, Remove: PORT_MAP };
  const body = checkFields((await call.readJson()) ?? {}, fields);
  const Ports = await call.backend.containers.changePorts(call.name, body as PortChange);
  call.json(200, { Ports });
};

export const portRoutes: readonly Route[] = [
  get("/naru/ports", list),
  get("/naru/front-door", frontDoor),
  post("/naru/containers/{id}/ports", change),
];
