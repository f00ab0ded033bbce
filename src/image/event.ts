/** Events of images, in the form Docker's clients expect. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { Digest } from "#spec/image/digest.ts";

type Action = "tag" | "untag" | "delete" | "load" | "save" | "import";

/** `name`: the reference for `tag`, else the id. Labels of the image become attributes. */
export const publishImageEvent = (
  { rows, publish }: Pick<ImageDependencies, "rows" | "publish">,
  action: Action,
  id: Digest,
  name: string = id,
): void => {
  const labels = rows.get(id)?.config.config?.Labels ?? {};
  publish({
    status: action,
    id,
    Type: "image",
    Action: action,
    Actor: { ID: id, Attributes: { ...labels, name } },
  });
};
