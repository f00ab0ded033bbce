/** Images from a registry. */
import { progressMessages } from "#client/progress.ts";
import type { Stack } from "#compose/stack.ts";

const splitTag = (image: string): { name: string; tag: string } => {
  const at = image.indexOf("@");
  if (at >= 0) return { name: image.slice(0, at), tag: image.slice(at + 1) };
  const colon = image.indexOf(":", image.lastIndexOf("/") + 1);
  return colon < 0
    ? { name: image, tag: "latest" }
    : { name: image.slice(0, colon), tag: image.slice(colon + 1) };
};

/** Rejects with the registry's words. */
export const pullImage = async (
  stack: Stack,
  image: string,
  platform: string | undefined,
): Promise<void> => {
  const { client, host, signal } = stack.options;
  const { name, tag } = splitTag(image);
  const response = await client.call("imagePull", {
    query: { fromImage: name, tag, platform },
    headers: await host.registryHeaders(image),
    signal,
  });
  for await (const message of progressMessages(response.body)) {
    if (message.progressDetail === undefined || message.id === undefined) continue;
    const { current = 0, total = 0 } = message.progressDetail;
    if (total === 0) continue;
    const percent = `${String(Math.floor((current / total) * 100))}%`;
    const detail = `${message.id} ${message.status ?? ""} ${percent}`;
    stack.tell({ subject: `Image ${image}`, status: "Pulling", phase: "begin", detail });
  }
};
