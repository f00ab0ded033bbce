/** POST /containers/create. */
import type { Call } from "#api/docker/call.ts";
import { adjustCreateRequest } from "#api/docker/container/create-compat.ts";
import { decodeCreateRequest } from "#api/docker/container/create-decode.ts";
import { post, type Route } from "#api/docker/route.ts";
import { NaruError } from "#lib/errors.ts";

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** undefined for "". Throws invalid_argument in Docker's words. */
export const checkName = (name: string): string | undefined => {
  if (name === "") return undefined;
  if (!NAME.test(name)) {
    throw new NaruError(
      "invalid_argument",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return name.startsWith("/") ? name.slice(1) : name;
};

const create = async (call: Call): Promise<void> => {
  const body = await call.readJson();
  if (body === undefined) {
    throw new NaruError(
      "invalid_argument",
      "config cannot be empty in order to create a container",
    );
  }
  const request = decodeCreateRequest(body);
  const warnings = adjustCreateRequest(request, call.minor);
  const name = checkName(call.query.text("name"));
  const platform = call.minor < 41 ? "" : call.query.text("platform");
  const created = await call.backend.containers.create(
    name,
    request,
    platform === "" ? undefined : platform,
  );
  call.json(201, { Id: created.Id, Warnings: [...created.Warnings, ...warnings] });
};

export const createRoutes: readonly Route[] = [post("/containers/create", create)];
