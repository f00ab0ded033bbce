import { expect, test } from "bun:test";
import {
  hostToLookUp,
  parseLocalMount,
  withAddress,
  withoutPassword,
} from "#volume/local-options.ts";

const mountOf = (type: string, o: string) => {
  const mount = parseLocalMount({ type, device: ":/export", o });
  if (mount === undefined) throw new Error("no mount");
  return mount;
};

test("words become flags, what is no flag goes to the file system", () => {
  expect(mountOf("nfs", "addr=10.0.0.1,rw,noatime,sync,nfsvers=4")).toEqual({
    device: ":/export",
    type: "nfs",
    flags: ["noatime", "sync"],
    data: "addr=10.0.0.1,nfsvers=4",
  });
});

test("the host of a network file system is looked up when it is a name", () => {
  expect(hostToLookUp(mountOf("nfs", "rw,addr=files.example,nolock"))).toBe("files.example");
  expect(hostToLookUp(mountOf("cifs", "username=u,addr=files"))).toBe("files");
  expect(hostToLookUp(mountOf("nfs", "addr=10.0.0.1"))).toBeUndefined();
  expect(hostToLookUp(mountOf("nfs", "addr=fd00::1"))).toBeUndefined();
  expect(hostToLookUp(mountOf("tmpfs", "addr=files"))).toBeUndefined();
  expect(hostToLookUp(mountOf("nfs", "mountaddr=files"))).toBeUndefined();
  const mount = withAddress(mountOf("nfs", "rw,addr=files.example,nolock"), "10.0.0.9");
  expect(mount.data).toBe("addr=10.0.0.9,nolock");
});

test("a password is not shown", () => {
  expect(withoutPassword("username=u,password=a=b,vers=3")).toBe(
    "username=u,password=********,vers=3",
  );
  expect(withoutPassword("pass=x")).toBe("pass=********");
  expect(withoutPassword("passthrough=x,mypassword=y")).toBe("passthrough=x,mypassword=y");
});
