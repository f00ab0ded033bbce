/**
 * POST /containers/{id…}/wait. The head goes out when the waiter is registered, so that a client may
 * start the container as soon as it has read it; the body follows with the exit.
 */
import type { Call } from "#api/docker/call.ts";
import { post, type Route } from "#api/docker/route.ts";
import type { WaitCondition, WaitResult } from "#container/containers.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

const conditionOf = (call: Call): WaitCondition => {
  const text = call.minor < 30 ? "" : call.query.text("condition");
  if (text === "") return "not-running";
  if (text === "not-running" || text === "next-exit" || text === "removed") return text;
  throw new NaruError("invalid_argument", `invalid condition: "${text}"`);
};

const responseText = ({ exitCode, error }: WaitResult): string =>
  `${JSON.stringify({
    StatusCode: exitCode,
    ...(error === undefined ? {} : { Error: { Message: error } }),
  })}\n`;

const wait = async (call: Call): Promise<void> => {
  const condition = conditionOf(call);
  const { containers } = call.backend;
  // The contract throws at once for unknown containers; look it up for those who reject instead.
  containers.get(call.name);
  call.exchange.endsWithServer();
  const result = containers.wait(call.name, condition, call.signal);
  if (call.minor < 30) {
    call.exchange.answer(200, "Content-Type: application/json\r\n", responseText(await result));
    return;
  }
  const out = call.stream("application/json");
  try {
    await out.write(responseText(await result));
  } catch (error) {
    if (!call.signal.aborted && !hasCode(error, "canceled")) throw error;
  }
  out.end();
};

export const waitRoutes: readonly Route[] = [post("/containers/{id…}/wait", wait)];
