import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
} from "yaml";
import type { Place } from "../failure.ts";

/** A value where it stands in a file. What it is not, it is undefined as. */
export type YamlValue = {
  readonly place: Place;
  /** Nothing was written, or `null` or `~`. */
  readonly isEmpty: boolean;
  readonly text: () => string | undefined;
  readonly texts: () => readonly string[] | undefined;
  /** In their order, one that is there twice too, and behind them what `<<` merges into them. */
  readonly entries: () => readonly YamlEntry[] | undefined;
};

export type YamlEntry = { readonly key: string; readonly value: YamlValue };

/**
 * Reads YAML 1.2, of which JSON is a part. Every scalar is the text that stands there (the failsafe schema), so that
 * `0123` keeps its zero and `no` is no boolean. Faults are named by the library's codes, since its words quote the file,
 * in which there may be a secret. Values are looked at on demand only: aliases could make them grow without end.
 */
export const readYaml = (
  text: string,
  file: string,
): {
  readonly root: YamlValue;
  readonly faults: readonly { readonly place: Place; readonly fault: string }[];
} => {
  const lines = new LineCounter();
  const placeAt = (offset: number, path: string): Place => ({
    file,
    line: lines.linePos(offset).line || 1,
    path,
  });
  const document = parse(text, lines);
  const top = placeAt(0, "");
  if (document === undefined)
    return { root: nothingAt(top), faults: [{ place: top, fault: "nested too deeply" }] };

  const { aliased, unresolved } = aliasesIn(document);
  const resolved = (node: unknown): unknown => (isAlias(node) ? aliased.get(node) : node);

  const look = (written: unknown, place: Place, depth: number): YamlValue => {
    const node = resolved(written);
    const isEmpty = node === null || node === undefined || (isScalar(node) && isNull(node));
    return {
      place,
      isEmpty,
      text: () => (!isEmpty && isScalar(node) && typeof node.value === "string" ? node.value : undefined),
      texts: () => {
        if (!isSeq(node)) return undefined;
        const texts = node.items.flatMap((item) => look(item, place, depth).text() ?? []);
        return texts.length === node.items.length ? texts : undefined;
      },
      entries: () => (isMap(node) && depth < maximumDepth ? entriesOf(node.items, place, depth) : undefined),
    };
  };

  const entriesOf = (
    pairs: readonly Pair[],
    place: Place,
    depth: number,
  ): readonly YamlEntry[] | undefined => {
    const own: YamlEntry[] = [];
    const merged = new Map<string, YamlEntry>();
    for (const { key, value } of pairs) {
      if (!isScalar(key) || typeof key.value !== "string") return undefined;
      if (key.value !== "<<") {
        const path = place.path === "" ? key.value : `${place.path}.${key.value}`;
        own.push({
          key: key.value,
          value: look(value, placeAt(key.range?.[0] ?? 0, path), depth + 1),
        });
        continue;
      }
      const source = resolved(value);
      for (const each of isSeq(source) ? source.items : [source]) {
        const entries = look(each, place, depth + 1).entries();
        if (entries === undefined) return undefined;
        for (const entry of entries) if (!merged.has(entry.key)) merged.set(entry.key, entry);
      }
    }
    for (const { key } of own) merged.delete(key);
    return [...own, ...merged.values()];
  };

  return {
    root: look(document.contents, top, 0),
    faults: [
      ...[...document.errors, ...document.warnings].map(({ code, pos }) => ({
        place: placeAt(pos[0], ""),
        fault: code.toLowerCase().replaceAll("_", " "),
      })),
      ...unresolved.map(({ range }) => ({ place: placeAt(range?.[0] ?? 0, ""), fault: "unresolved alias" })),
    ],
  };
};

/** Deeper than any of our files is; an alias may stand within what it names. */
const maximumDepth = 8;

const parse = (text: string, lineCounter: LineCounter): Document.Parsed | undefined => {
  try {
    return parseDocument(text, {
      schema: "failsafe",
      prettyErrors: false,
      lineCounter,
      // It would compare each key with all before it.
      uniqueKeys: false,
    });
  } catch (error) {
    // Its parser calls itself for each level.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
};

/** What each alias stands for: the last node before it that has its name. */
const aliasesIn = (document: Document.Parsed) => {
  const anchors = new Map<string, Node>();
  const aliased = new Map<Alias, Node>();
  const unresolved: Alias[] = [];
  visit(document, {
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
    Alias: (_, alias) => {
      const node = anchors.get(alias.source);
      if (node === undefined) unresolved.push(alias);
      else aliased.set(alias, node);
    },
  });
  return { aliased, unresolved };
};

const isNull = ({ type, value }: { readonly type?: string; readonly value: unknown }): boolean =>
  type === "PLAIN" && (value === "" || value === "~" || value === "null");

const nothingAt = (place: Place): YamlValue => ({
  place,
  isEmpty: true,
  text: () => undefined,
  texts: () => undefined,
  entries: () => undefined,
});
