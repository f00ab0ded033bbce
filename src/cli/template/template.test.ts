import { describe, expect, test } from "bun:test";
import { evaluate } from "#cli/template/evaluate.ts";
import { headerFunctions } from "#cli/template/functions.ts";
import { parseTemplate } from "#cli/template/parser.ts";

const data = {
  Id: "abc123",
  Name: "/web",
  Count: 3,
  Ratio: 1.5,
  Big: 2147483648000,
  Ok: true,
  No: false,
  Empty: "",
  Nothing: null,
  State: { Status: "running", Pid: 42, Health: null },
  Config: {
    Labels: { b: "2", a: "1", "com.x": "y" },
    Env: ["A=1", "B=2"],
    Cmd: null,
    Volumes: null,
  },
  HostConfig: { CpuShares: 512, Init: null },
  Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "90/tcp": null },
  Mounts: [
    { Type: "bind", Source: "/a", RW: true },
    { Type: "volume", Source: "/b", RW: false },
  ],
};

const run = (source: string): string =>
  evaluate(parseTemplate(source), data, { optionalFields: new Set(["Maybe"]) });

const GOOD: readonly (readonly [string, string])[] = [
  ["", ""],
  ["plain text", "plain text"],
  ["{{.Id}}", "abc123"],
  ["{{ .Id }}", "abc123"],
  ["{{.ID}}", "abc123"],
  ["a {{.Id}} b", "a abc123 b"],
  ["{{.State.Status}}", "running"],
  ["{{.State.Pid}}", "42"],
  ["{{.HostConfig.CPUShares}}", "512"],
  ["{{.Count}}", "3"],
  ["{{.Ratio}}", "1.5"],
  ["{{.Big}}", "2147483648000"],
  ["{{.Ok}} {{.No}}", "true false"],
  ["{{.Config.Env}}", "[A=1 B=2]"],
  ["{{.Config.Cmd}}", "[]"],
  ["{{.Config.Volumes}}", "map[]"],
  ["{{.HostConfig.Init}}", "<nil>"],
  ["{{.Config.Labels}}", "map[a:1 b:2 com.x:y]"],
  ["{{.State}}", "{running 42 <nil>}"],
  ["{{.Ports}}", "map[80/tcp:[{0.0.0.0 8080}] 90/tcp:[]]"],
  ["{{.Maybe}}", "[]"],
  ["{{if .Maybe}}x{{else}}y{{end}}", "y"],
  ["{{json .State}}", '{"Status":"running","Pid":42,"Health":null}'],
  ["{{json .Name}}", '"/web"'],
  ["{{.Name | json}}", '"/web"'],
  ["{{json .Config.Env}}", '["A=1","B=2"]'],
  ['{{join .Config.Env ","}}', "A=1,B=2"],
  ['{{.Name | printf "%s!"}}', "/web!"],
  ["{{upper .Name}}", "/WEB"],
  ["{{lower .Id}}", "abc123"],
  ["{{title .State.Status}}", "Running"],
  ['{{split .Name "/"}}', "[ web]"],
  ['{{index (split .Name "/") 1}}', "web"],
  ["{{println .Id}}", "abc123\n"],
  ['{{println "a" 1}}', "a 1\n"],
  ['{{print "a" 1 2 "b"}}', "a1 2b"],
  ["{{len .Config.Env}}", "2"],
  ["{{len .Name}}", "4"],
  ["{{len .Config.Labels}}", "3"],
  ['{{index .Config.Labels "com.x"}}', "y"],
  ['{{index .Config.Labels "none"}}', ""],
  ["{{index .Config.Env 1}}", "B=2"],
  ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
  ['{{index .Ports "80/tcp" 0 | json}}', '{"HostIp":"0.0.0.0","HostPort":"8080"}'],
  ["{{slice .Id 0 3}}", "abc"],
  ["{{slice .Id 3}}", "123"],
  ["{{truncate .Id 2}}", "ab"],
  ["[{{pad .Id 1 2}}]", "[ abc123  ]"],
  ["[{{pad .Empty 1 2}}]", "[]"],
  ["{{if .Ok}}yes{{end}}", "yes"],
  ["{{if .No}}yes{{else}}no{{end}}", "no"],
  ["{{if .No}}a{{else if .Ok}}b{{else}}c{{end}}", "b"],
  ["{{if .Empty}}a{{else}}b{{end}}", "b"],
  ["{{if .Nothing}}a{{else}}b{{end}}", "b"],
  ['{{if eq .State.Status "running"}}up{{end}}', "up"],
  ['{{if eq .State.Status "a" "running"}}up{{end}}', "up"],
  ['{{if ne .State.Status "x"}}1{{end}}', "1"],
  ["{{if lt .Count 4}}1{{end}}{{if gt .Count 4}}2{{end}}", "1"],
  ["{{le .Count 3}} {{ge .Count 4}}", "true false"],
  ["{{and .Ok .Count}}", "3"],
  ["{{or .Empty .Id}}", "abc123"],
  ["{{and .No .Nope.Deep}}", "false"],
  ["{{or .Ok .Nope.Deep}}", "true"],
  ["{{not .No}}", "true"],
  ["{{with .State}}{{.Pid}}{{end}}", "42"],
  ["{{with .Empty}}a{{else}}b{{end}}", "b"],
  ["{{range .Config.Env}}{{.}};{{end}}", "A=1;B=2;"],
  ["{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}", "0=A=1 1=B=2 "],
  ["{{range $k, $v := .Config.Labels}}{{$k}}={{$v}},{{end}}", "a=1,b=2,com.x=y,"],
  [
    "{{range $p, $c := .Ports}}{{$p}} {{if $c}}{{(index $c 0).HostPort}}{{end}};{{end}}",
    "80/tcp 8080;90/tcp ;",
  ],
  ["{{range .Config.Cmd}}x{{else}}none{{end}}", "none"],
  ['{{range .Mounts}}{{if eq .Type "volume"}}{{break}}{{end}}{{.Source}}{{end}}', "/a"],
  ["{{range .Mounts}}{{if .RW}}{{continue}}{{end}}{{.Source}}{{end}}", "/b"],
  ["{{range .Mounts}}{{$.Id}}{{end}}", "abc123abc123"],
  ["{{$x := .Id}}{{$x}}", "abc123"],
  ["{{$x := .State}}{{$x.Pid}}", "42"],
  ["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"],
  ["{{- .Id -}}", "abc123"],
  ["a {{- .Id -}} b", "aabc123b"],
  ["a{{/* note */}}b", "ab"],
  ["a {{- /* note */ -}} b", "ab"],
  ["{{`raw`}}", "raw"],
  ['{{"q\\"t\\n"}}', 'q"t\n'],
  ["{{1}} {{-2}} {{0x10}}", "1 -2 16"],
  ['{{printf "%d-%5d|%-4s|%q|%x|%v" 1 2 "a" "b" 255 true}}', '1-    2|a   |"b"|ff|true'],
  ['{{printf "%.2f %05d %+d %%" 1.5 42 7}}', "1.50 00042 +7 %"],
  ['{{printf "%s"}}', "%!s(MISSING)"],
  ['{{html "<a>"}}', "&lt;a&gt;"],
  ['{{urlquery "a b&c"}}', "a+b%26c"],
  ["{{.Config.Labels.none}}", "<no value>"],
];

describe("what works in Go works here", () => {
  for (const [source, expected] of GOOD) {
    test(JSON.stringify(source), () => expect(run(source)).toBe(expected));
  }
});

const BAD: readonly (readonly [string, string])[] = [
  ["{{.Nope}}", 'map has no entry for key "Nope"'],
  ["{{.Id.Deep}}", "can't evaluate field Deep in type string"],
  ["{{.Nothing.Deep}}", "nil pointer evaluating interface {}.Deep"],
  ["{{foo .Id}}", 'function "foo" not defined'],
  ["{{.Id", "unclosed action"],
  ["{{if .Ok}}", "unexpected EOF"],
  ["{{end}}", "unexpected {{end}}"],
  ["{{}}", "missing value for command"],
  ["{{index .Config.Env 9}}", "index out of range: 9"],
  ["{{$nope}}", 'undefined variable "$nope"'],
  ['{{eq 1 "a"}}', "incompatible types for comparison"],
  ['{{define "x"}}{{end}}', "{{define}} is not supported here"],
  ["{{(.Id}}", "unclosed left paren"],
  ["{{break}}", "{{break}} outside {{range}}"],
  ["{{.Id 1}}", "cannot be invoked as function"],
  ["{{'}}", "unexpected"],
];

describe("mistakes are named", () => {
  for (const [source, message] of BAD) {
    test(source, () => expect(() => run(source)).toThrow(message));
  }
});

test("rows: fields are functions, called only when used, json shows those without arguments", () => {
  let calls = 0;
  const row = {
    Names: () => "web",
    ID: () => {
      calls += 1;
      return "1";
    },
    Label: (name: unknown) => `label ${String(name)}`,
  };
  expect(evaluate(parseTemplate('{{.Names}} {{.Label "x"}}'), row)).toBe("web label x");
  expect(calls).toBe(0);
  expect(evaluate(parseTemplate("{{json .}}"), row)).toBe('{"ID":"1","Names":"web"}');
});

test("a head keeps its words", () => {
  const parsed = parseTemplate("{{upper .ID}} {{truncate .Image 2}} {{json .Labels}}");
  const head = { ID: "Container Id", Image: "Image", Labels: "Labels" };
  expect(evaluate(parsed, head, { functions: headerFunctions })).toBe("Container Id Image Labels");
});
