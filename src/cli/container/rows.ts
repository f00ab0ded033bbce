/** A container of the list as a row of `ps`: every field that a template can name. */
import type { Row } from "#cli/format/listing.ts";
import { ago, formatLocal } from "#cli/format/time.ts";
import { humanSize } from "#cli/format/units.ts";
import { formatPorts } from "#cli/container/ports-column.ts";
import { quote } from "#cli/template/values.ts";
import type { ContainerSummary } from "#spec/docker/container.ts";

export const containerHeaders = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Platform: "PLATFORM",
  HealthStatus: "HEALTH STATUS",
} as const;

export const shortId = (id: string): string => id.replace(/^sha256:/, "").slice(0, 12);

export const ellipsis = (text: string, width: number): string => {
  const letters = Array.from(text);
  return letters.length <= width ? text : `${letters.slice(0, width - 1).join("")}…`;
};

const names = (all: readonly string[], isTruncated: boolean): string => {
  const plain = all.map((name) => name.replace(/^\//, ""));
  if (!isTruncated) return plain.join(",");
  return plain.find((name) => !name.includes("/")) ?? "";
};

const imageName = (container: ContainerSummary, isTruncated: boolean): string => {
  const { Image: image, ImageID: imageId } = container;
  if (image === "") return "<no image>";
  if (!isTruncated) return image;
  if (/^(sha256:)?[0-9a-f]{12,64}$/.test(image) && shortId(image) === shortId(imageId)) {
    return shortId(imageId);
  }
  return image.replace(/@sha256:[0-9a-f]+$/, "").replace(/^docker\.io\/(library\/)?/, "");
};

const health = (status: string): string => {
  const found = /\((?:health: )?(healthy|unhealthy|starting)\)$/.exec(status)?.[1];
  return found ?? "";
};

export const formatLabels = (labels: Readonly<Record<string, string>> | null): string =>
  Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .toSorted()
    .join(",");

export const containerRow = (container: ContainerSummary, isTruncated: boolean): Row => ({
  ID: () => (isTruncated ? shortId(container.Id) : container.Id),
  Names: () => names(container.Names, isTruncated),
  Image: () => imageName(container, isTruncated),
  Command: () => quote(isTruncated ? ellipsis(container.Command, 20) : container.Command),
  CreatedAt: () => formatLocal(new Date(container.Created * 1000)),
  RunningFor: () => ago(container.Created),
  Ports: () => formatPorts(container.Ports),
  State: () => container.State,
  Status: () => container.Status,
  Size: () => {
    const own = humanSize(container.SizeRw ?? 0, 3);
    const all = container.SizeRootFs ?? 0;
    return all > 0 ? `${own} (virtual ${humanSize(all, 3)})` : own;
  },
  Labels: () => formatLabels(container.Labels),
  Label: (name: unknown) => container.Labels[String(name)] ?? "",
  Mounts: () =>
    container.Mounts.map((mount) => mount.Name || mount.Source)
      .map((name) => (isTruncated ? ellipsis(name, 15) : name))
      .join(","),
  LocalVolumes: () => String(container.Mounts.filter((mount) => mount.Driver === "local").length),
  Networks: () => Object.keys(container.NetworkSettings.Networks).join(","),
  Platform: () => "",
  HealthStatus: () => health(container.Status),
});
