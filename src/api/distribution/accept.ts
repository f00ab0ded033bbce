/** Content negotiation of manifests: which types a client takes (RFC 9110 §12.5.1). */
const REMEMBERED = 64;

export type Accepts = (mediaType: string) => boolean;

const anything: Accepts = () => true;

const parse = (field: string): Accepts => {
  const types = new Set<string>();
  if (field.trim() === "") return anything;
  for (const part of field.split(",")) {
    const [type = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    if (!parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) types.add(type);
  }
  if (types.has("*/*")) return anything;
  return (mediaType) => types.has(mediaType) || types.has("application/*");
};

const known = new Map<string, Accepts>();

/** Clients send the same few lists over and over. No field: anything. */
export const acceptsOf = (field: string | undefined): Accepts => {
  if (field === undefined) return anything;
  let accepts = known.get(field);
  if (accepts === undefined) {
    if (known.size >= REMEMBERED) known.clear();
    accepts = parse(field);
    known.set(field, accepts);
  }
  return accepts;
};
