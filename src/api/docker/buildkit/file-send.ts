/** A result's files to the client: here the engine is the sender, and the client asks for content. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  PACKET_DATA,
  PACKET_ERR,
  PACKET_FIN,
  PACKET_REQ,
  PACKET_STAT,
} from "#api/docker/buildkit/file-sync.ts";
import type { GrpcStream } from "#api/grpc/client.ts";
import type { OutputFiles } from "#build/output-files.ts";
import { NaruError } from "#lib/errors.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ChunkSchema, PacketSchema } from "#spec/buildkit/session.gen.ts";

export const FILE_SEND = "/moby.filesync.v1.FileSend/DiffCopy";
const CHUNK_BYTES = 1024 * 1024;

type PacketInit = Parameters<typeof create<typeof PacketSchema>>[1];

const encode = (packet: NonNullable<PacketInit>): Uint8Array =>
  toBinary(PacketSchema, create(PacketSchema, packet));

/** Describes every file, in the order of a walk. Gives the paths by id. */
const describe = async (stream: GrpcStream, files: OutputFiles): Promise<string[]> => {
  const paths: string[] = [];
  for (const { path, goMode, uid, gid, sizeBytes, modifiedNs, link } of files.nodes()) {
    paths.push(path);
    const stat = {
      path,
      mode: goMode,
      uid,
      gid,
      size: BigInt(sizeBytes),
      modTime: modifiedNs,
      linkname: link,
    };
    await stream.send(encode({ type: PACKET_STAT, stat }));
  }
  await stream.send(encode({ type: PACKET_STAT }));
  return paths;
};

/** Bytes of content that went out. */
export const sendFiles = async (stream: GrpcStream, files: OutputFiles): Promise<number> => {
  const wanted: number[] = [];
  let bytes = 0;
  let isFinished = false;
  let wake = (): void => undefined;
  // REQs come while we still describe: they are noted, and answered after that.
  const listening = (async (): Promise<void> => {
    for await (const message of stream.messages) {
      const packet = fromBinary(PacketSchema, message);
      if (packet.type === PACKET_REQ) wanted.push(packet.id);
      else if (packet.type === PACKET_FIN) isFinished = true;
      else if (packet.type === PACKET_ERR) {
        const reason = Buffer.from(packet.data).toString("utf8");
        throw new NaruError("failed_precondition", `error from receiver: ${reason}`);
      }
      wake();
      if (isFinished) {
        await stream.send(encode({ type: PACKET_FIN }));
        stream.end();
      }
    }
  })();
  let isOver = false;
  const over = listening.finally(() => {
    isOver = true;
    wake();
  });
  over.catch(() => undefined); // Awaited below.
  const paths = await describe(stream, files);
  while (!isFinished && !isOver) {
    const id = wanted.shift();
    if (id === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      if (wanted.length === 0 && !isFinished) await promise;
      continue;
    }
    for (const data of files.read(paths[id] ?? "")) {
      bytes += data.length;
      await stream.send(encode({ type: PACKET_DATA, id, data }));
    }
    await stream.send(encode({ type: PACKET_DATA, id }));
  }
  await over;
  return bytes;
};

/** One stream of bytes to the place that the client has for this output. */
export const sendStream = async (
  { session, sink, signal }: SolveContext,
  position: number,
  source: AsyncIterable<Uint8Array>,
): Promise<void> => {
  if (sink !== undefined) {
    for await (const bytes of source) if (bytes.length > 0) await sink(position, bytes);
    return await sink(position, new Uint8Array());
  }
  if (session === undefined) {
    throw new NaruError("invalid_argument", "an archive needs a session to go to");
  }
  const metadata = { "buildkit-attachable-exporter-id": String(position) };
  const stream = session.client.stream(FILE_SEND, metadata, signal);
  for await (const bytes of source) {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      const data = bytes.subarray(start, start + CHUNK_BYTES);
      await stream.send(toBinary(ChunkSchema, create(ChunkSchema, { data })));
    }
  }
  stream.end();
  // The client has it all when it ends its side.
  for await (const answer of stream.messages) void answer;
};
