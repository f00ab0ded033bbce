import { expect, test } from "bun:test";

import { parseFilters, singleFilter } from "#spec/docker/filters.ts";

test("both forms of a filter, and what Go writes where nothing was set", () => {
  const read = (text: string | undefined): unknown =>
    Object.fromEntries(parseFilters(text, ["label", "until"]));
  expect(read(undefined)).toEqual({});
  expect(read("")).toEqual({});
  expect(read("null")).toEqual({});
  expect(read("{}")).toEqual({});
  expect(read('{"label":null}')).toEqual({ label: [] });
  expect(read('{"label":["a","b=c"]}')).toEqual({ label: ["a", "b=c"] });
  expect(read('{"label":{"a":true,"b":false}}')).toEqual({ label: ["a"] });
});

test("what is no filter is refused", () => {
  const read = (text: string) => (): unknown => parseFilters(text, ["label"]);
  for (const text of ["[]", '"null"', "1", "{"]) expect(read(text)).toThrow("invalid filters");
  expect(read('{"label":"a"}')).toThrow('invalid filter "label": expected a list of strings');
  expect(read('{"label":[1]}')).toThrow('invalid filter "label": expected a list of strings');
  expect(read('{"colour":["a"]}')).toThrow("invalid filter 'colour'");
});

test("a filter of one value is refused with two, instead of one of them being taken", () => {
  const until = (values: string): string | undefined =>
    singleFilter(parseFilters(`{"until":${values}}`, ["until"]), "until");
  expect(until("[]")).toBeUndefined();
  expect(until('["1h"]')).toBe("1h");
  expect(() => until('["1h","48h"]')).toThrow(
    'more than one until filter specified: "1h", "48h"; give one',
  );
});
