/** What a program takes from its libraries: elf(5), "String and symbol tables", and the LSB's "Symbol Versioning". */

/** A function as it is looked for: `sd_notify` of the version `LIBSYSTEMD_209`. */
export interface ImportedSymbol {
  readonly name: string;
  readonly version: string;
}

const MAGIC = 0x464c457f;
const [CLASS_64, LITTLE_ENDIAN, MACHINE_X86_64] = [2, 1, 62];
const [SHT_DYNSYM, SHT_GNU_VERNEED, SHT_GNU_VERSYM] = [11, 0x6ffffffe, 0x6fffffff];
const [SECTION_BYTES, SYMBOL_BYTES] = [64, 24];
/** The highest bit of a version index says "hidden". */
const VERSION_MASK = 0x7fff;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Of another section: its strings. */
  readonly link: number;
  readonly info: number;
}

const isElf = (view: DataView): boolean =>
  view.byteLength >= 64 &&
  view.getUint32(0, true) === MAGIC &&
  view.getUint8(4) === CLASS_64 &&
  view.getUint8(5) === LITTLE_ENDIAN &&
  view.getUint16(18, true) === MACHINE_X86_64;

const sectionsOf = (view: DataView): Section[] => {
  const start = Number(view.getBigUint64(40, true));
  return Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const at = start + index * SECTION_BYTES;
    return {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      sizeBytes: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
      info: view.getUint32(at + 44, true),
    };
  });
};

const textAt = (view: DataView, at: number): string => {
  let end = at;
  while (view.getUint8(end) !== 0) end += 1;
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + at, end - at));
};

/** Which library and which of its versions an index of the symbols' versions stands for (Elf64_Verneed, _Vernaux). */
const versionsNeeded = (
  view: DataView,
  needs: Section,
  strings: number,
): Map<number, { library: string; version: string }> => {
  const versions = new Map<number, { library: string; version: string }>();
  let at = needs.offset;
  for (let left = needs.info; left > 0; left -= 1) {
    const library = textAt(view, strings + view.getUint32(at + 4, true));
    let aux = at + view.getUint32(at + 8, true);
    for (let count = view.getUint16(at + 2, true); count > 0; count -= 1) {
      const version = textAt(view, strings + view.getUint32(aux + 8, true));
      versions.set(view.getUint16(aux + 6, true) & VERSION_MASK, { library, version });
      aux += view.getUint32(aux + 12, true);
    }
    at += view.getUint32(at + 12, true);
  }
  return versions;
};

/**
 * The symbols with a version that the program `bytes` takes from elsewhere, by library (its soname). Empty for
 * whatever is no x86-64 program or has no such table. Throws RangeError for one that points outside of itself.
 */
export const importsOf = (bytes: Uint8Array): ReadonlyMap<string, readonly ImportedSymbol[]> => {
  const imports = new Map<string, ImportedSymbol[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isElf(view)) return imports;
  const sections = sectionsOf(view);
  const of = (type: number): Section | undefined => sections.find((each) => each.type === type);
  const [symbols, needs, indexes] = [of(SHT_DYNSYM), of(SHT_GNU_VERNEED), of(SHT_GNU_VERSYM)];
  if (symbols === undefined || needs === undefined || indexes === undefined) return imports;
  const strings = sections[symbols.link]?.offset ?? 0;
  const versions = versionsNeeded(view, needs, sections[needs.link]?.offset ?? 0);
  for (let index = 0; index < symbols.sizeBytes / SYMBOL_BYTES; index += 1) {
    const at = symbols.offset + index * SYMBOL_BYTES;
    const isDefined = view.getUint16(at + 6, true) !== 0;
    const wanted = versions.get(view.getUint16(indexes.offset + index * 2, true) & VERSION_MASK);
    if (isDefined || wanted === undefined) continue;
    const list = imports.get(wanted.library) ?? [];
    imports.set(wanted.library, list);
    list.push({ name: textAt(view, strings + view.getUint32(at, true)), version: wanted.version });
  }
  return imports;
};
