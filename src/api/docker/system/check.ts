/** naru's own: POST /naru/system/check, one JSON object a line. */
import type { Call } from "#api/docker/call.ts";
import { errorLine } from "#api/docker/errors.ts";
import { post, type Route } from "#api/docker/route.ts";

const check = async (call: Call): Promise<void> => {
  const { signal } = call;
  const out = call.stream("application/json");
  let [checked, problems, left] = [0, 0, 0];
  try {
    const repairs = call.query.flag("repair");
    for await (const event of call.backend.images.check({ repairs, signal })) {
      if (event.kind === "progress") checked += 1;
      else problems += 1;
      if (event.kind === "problem" && event.outcome === "left") left += 1;
      await out.write(`${JSON.stringify(event)}\n`);
    }
    await out.write(`${JSON.stringify({ kind: "end", checked, problems, left })}\n`);
  } catch (error) {
    if (signal.aborted) return;
    await out.write(errorLine(error));
  } finally {
    out.end();
  }
};

export const checkRoutes: readonly Route[] = [post("/naru/system/check", check)];
