/** Brings the test images into an engine through its API. */
import { api } from "./http.ts";
import { busyboxRoot, BUSYBOX_CONFIG, dockerArchive, FULL_CONFIG, FULL_LAYER } from "./images.ts";
import { writeTar } from "./tar.ts";

export const BUSYBOX = "e2e/busybox:latest";
export const FULL = "e2e/full:latest";

/** Loads `e2e/busybox:latest` and `e2e/full:latest`; throws with the engine's words. */
export const loadFixtures = async (socketPath: string): Promise<void> => {
  const root = writeTar(await busyboxRoot());
  const archives = [
    dockerArchive([BUSYBOX], [root], BUSYBOX_CONFIG),
    dockerArchive([FULL], [root, writeTar(FULL_LAYER)], FULL_CONFIG),
  ];
  for (const raw of archives) {
    const reply = await api(socketPath, "POST", "/images/load?quiet=1", { raw });
    if (reply.status !== 200 || reply.text.includes('"error"')) {
      throw new Error(`load of a test image: ${reply.status} ${reply.text}`);
    }
  }
};
