import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "./frame";

describe("binary messages", () => {
  it("are what the protocol says", () => {
    const b = encodeFrame(2, "s12", 258, new Uint8Array([7, 8]));
    expect([...b]).toEqual([2, 3, 0x73, 0x31, 0x32, 0, 0, 0, 0, 0, 0, 1, 2, 7, 8]);
    expect(decodeFrame(b.buffer)).toEqual({ kind: 2, id: "s12", seq: 258, data: new Uint8Array([7, 8]) });
  });
  it("survive large numbers and no data", () => {
    expect(decodeFrame(encodeFrame(3, "a", 2 ** 53 - 1).buffer)).toMatchObject({ seq: 2 ** 53 - 1, data: new Uint8Array() });
  });
  it("are refused when they are cut, have no id, or a number that is not exact", () => {
    const b = encodeFrame(1, "s1", 5);
    for (let n = 0; n < b.length; n++) expect(decodeFrame(b.buffer.slice(0, n)), String(n)).toBeUndefined();
    expect(decodeFrame(new Uint8Array(12).buffer)).toBeUndefined();
    expect(decodeFrame(encodeFrame(1, "s1", 2 ** 60).buffer)).toBeUndefined();
  });
});
