import { expect, test } from "bun:test";

import { checkFields, type Fields, SET, TEXT_MAP, TEXTS } from "#api/docker/body-fields.ts";

const FIELDS: Fields = {
  Name: "text",
  Size: "number",
  Force: "flag",
  Cmd: "textOrTexts",
  Labels: TEXT_MAP,
  Volumes: SET,
  Mounts: { list: { fields: { Target: "text", ReadOnly: "flag", Options: { list: TEXTS } } } },
  Ports: { map: { list: { fields: { HostPort: "text" } } } },
};
const decode = (text: string): unknown => checkFields(JSON.parse(text), FIELDS, "Host.");

test("names count without their case at every depth, unknown ones and nulls are left out", () => {
  expect(
    decode(
      '{"name":"a","mounts":[{"target":"/x","readonly":true,"New":1}],"Later":{},"Size":null}',
    ),
  ).toEqual({ Name: "a", Mounts: [{ Target: "/x", ReadOnly: true }] });
});

test("null within lists and maps is the empty value of its kind", () => {
  expect(
    decode('{"Cmd":["a",null],"Labels":{"a":null},"Volumes":{"/x":{"y":1}},"Ports":{"80":null}}'),
  ).toEqual({ Cmd: ["a", ""], Labels: { a: "" }, Volumes: { "/x": {} }, Ports: { "80": [] } });
  expect(decode('{"Mounts":[null],"Cmd":"one"}')).toEqual({ Mounts: [{}], Cmd: ["one"] });
});

test.each([
  ['{"Name":1}', '"Host.Name" is not a string'],
  ['{"Size":1.5}', '"Host.Size" is not a whole number'],
  ['{"Size":1e400}', '"Host.Size" is not a whole number'],
  ['{"Size":99999999999999999999}', '"Host.Size" is not a number of 64 bits'],
  ['{"Force":"true"}', '"Host.Force" is not true or false'],
  ['{"Cmd":[1]}', '"Host.Cmd[0]" is not a string'],
  ['{"Labels":["a"]}', '"Host.Labels" is not an object'],
  ['{"Labels":{"a":1}}', '"Host.Labels["a"]" is not a string'],
  ['{"Volumes":{"/x":""}}', '"Host.Volumes["/x"]" is not an object'],
  ['{"Mounts":["/x"]}', '"Host.Mounts[0]" is not an object'],
  ['{"Mounts":[{},{"ReadOnly":"true"}]}', '"Host.Mounts[1].ReadOnly" is not true or false'],
  ['{"Mounts":[{"Options":["a"]}]}', '"Host.Mounts[0].Options[0]" is not a list of strings'],
  ['{"Ports":{"80/tcp":[{"HostPort":80}]}}', '"Host.Ports["80/tcp"][0].HostPort" is not a string'],
])("%s is refused by its path", (text, message) => {
  expect(() => decode(text)).toThrow(`invalid JSON: ${message}`);
});
