/** Layers made while their blobs arrive, in each way there is, and what stops them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { tar } from "#image/archive.fake.ts";
import { StreamStage } from "#image/fetch-stage.ts";
import { sleep } from "#lib/clock.ts";
import { inflateKernel } from "#kernel/inflate.ts";
import { createKernel } from "#kernel/real.ts";
import { type LayerForm, TAR_FILE } from "#snapshot/layer-form.ts";
import { digestOf } from "#spec/image/digest.ts";

const kernel = { ...createKernel(), ...inflateKernel };
const command = [process.execPath, join(import.meta.dir, "worker.fake.ts")];

let root: string;
beforeEach(() => {
  root = mkdtempSync("/var/tmp/naru-stage-");
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** Does not compress. */
const noise = (sizeBytes: number): Buffer => {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, sizeBytes)));
  }
  return bytes;
};
const zipped = (plain: Uint8Array): Uint8Array => Bun.gzipSync(new Uint8Array(plain), { level: 1 });
const SMALL = tar({ name: "file", content: noise(400_000) });
/** Its blob is large enough for a child, in each compression. */
const LARGE = tar(
  { name: "file", content: noise(18 * 1024 * 1024) },
  { name: "end", content: "." },
);
const LARGE_ZIPPED = zipped(LARGE);

interface Given {
  readonly blob: Uint8Array;
  readonly form: LayerForm;
  readonly mediaType?: string;
  readonly plain?: Uint8Array;
}

const stageOf = (given: Given): StreamStage => {
  const { blob, form, mediaType = "application/vnd.oci.image.layer.v1.tar+gzip", plain } = given;
  return new StreamStage({
    kernel,
    command,
    file: join(root, "blob"),
    mediaType,
    sizeBytes: blob.length,
    directory: join(root, "layer"),
    form,
    diffId: digestOf(plain ?? LARGE),
    onProgress: () => undefined,
  });
};

/** As a download does: in pieces, the event loop in between. */
const arrive = async (stage: StreamStage, blob: Uint8Array): Promise<void> => {
  writeFileSync(join(root, "blob"), "");
  const step = Math.ceil(blob.length / 7);
  for (let at = 0; at < blob.length; at += step) {
    appendFileSync(join(root, "blob"), blob.subarray(at, at + step));
    stage.grow(Math.min(at + step, blob.length));
    await new Promise((resolve) => setImmediate(resolve));
  }
};

const failure = async (given: Given): Promise<string> => {
  const stage = stageOf(given);
  try {
    await arrive(stage, given.blob);
    await stage.finish();
    return "";
  } catch (error) {
    return (error as Error).message;
  } finally {
    stage.stop();
    rmSync(join(root, "layer"), { recursive: true, force: true });
  }
};

/** Whose command names something below `path`. */
const processesOf = (path: string): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(path);
    } catch {
      return false; // ended meanwhile
    }
  });

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await Bun.sleep(5);
};

for (const form of ["erofs", "directory"] as const) {
  describe(form, () => {
    const blobs = {
      gzip: [LARGE_ZIPPED, LARGE],
      "gzip in members": [
        Buffer.concat([zipped(LARGE.subarray(0, 9_000_000)), zipped(LARGE.subarray(9_000_000))]),
        LARGE,
      ],
      plain: [LARGE, LARGE],
      "zstd that is called gzip": [Bun.zstdCompressSync(LARGE, { level: 1 }), LARGE],
      "small gzip": [zipped(SMALL), SMALL],
      "small plain": [SMALL, SMALL],
      "small zstd": [Bun.zstdCompressSync(SMALL), SMALL],
    } as const;
    for (const [name, [blob, plain]] of Object.entries(blobs)) {
      test(`a layer of ${name} is there when its blob is`, async () => {
        const stage = stageOf({ blob, form, plain });
        await arrive(stage, blob);
        const staged = await stage.finish();
        expect(staged?.form).toBe(form);
        const content = readFileSync(join(root, "layer", form === "erofs" ? TAR_FILE : "file"));
        const wanted = form === "erofs" ? plain : plain.subarray(512, 512 + content.length);
        expect(content.equals(wanted)).toBe(true);
      });
    }

    test("what is damaged, or is not what the image says, or is no tar, is refused", async () => {
      const cut = LARGE_ZIPPED.subarray(0, LARGE_ZIPPED.length - 100_000);
      const flipped = Buffer.from(LARGE_ZIPPED);
      flipped.fill(0, 17_000_000, 17_000_100);
      for (const blob of [cut, flipped]) {
        expect(await failure({ blob, form })).toContain("the gzip data is damaged");
      }
      expect(await failure({ blob: LARGE_ZIPPED, form, plain: SMALL })).toContain(
        `the image says "${digestOf(SMALL)}"`,
      );
      const noTar = noise(17 * 1024 * 1024);
      expect(await failure({ blob: noTar, form, plain: noTar })).toContain("tar");
    });

    test("the first bytes may be slower than the processes that wait for them", async () => {
      const stage = stageOf({ blob: LARGE_ZIPPED, form });
      while (!existsSync(join(root, "layer"))) await sleep(5);
      // The child has said that it is ready by then, most often.
      await sleep(100);
      await arrive(stage, LARGE_ZIPPED);
      expect((await stage.finish())?.form).toBe(form);
    });

    test("a download that begins anew is told as such, and leaves the place to the next one", async () => {
      const stage = stageOf({ blob: LARGE_ZIPPED, form });
      writeFileSync(join(root, "blob"), LARGE_ZIPPED.subarray(0, 1_000_000));
      stage.grow(1_000_000);
      await until(() => processesOf(root).length > 0);
      stage.grow(0);
      expect(await stage.finish()).toBeUndefined();
      await stage.stopped();
      rmSync(join(root, "layer"), { recursive: true, force: true });
      const again = stageOf({ blob: LARGE_ZIPPED, form });
      await arrive(again, LARGE_ZIPPED);
      expect((await again.finish())?.form).toBe(form);
      await until(() => processesOf(root).length === 0);
    });
  });
}
