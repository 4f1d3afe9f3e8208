// Binary messages of the socket, as docs/protocol.md has them: kind, length of
// the subscription's id, the id, a number (8 bytes, big-endian), data.

export interface Frame {
  kind: number;
  id: string;
  seq: number;
  /** A view into the message. */
  data: Uint8Array;
}

const fixed = 10;

/** encodeFrame makes a message; ids are ours and short. */
export function encodeFrame(kind: number, id: string, seq: number, data?: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = fixed + id.length;
  const b = new Uint8Array(head + (data?.length ?? 0));
  b[0] = kind;
  b[1] = id.length;
  for (let i = 0; i < id.length; i++) b[2 + i] = id.charCodeAt(i);
  new DataView(b.buffer).setBigUint64(head - 8, BigInt(seq));
  if (data) b.set(data, head);
  return b;
}

/** decodeFrame reads a message; undefined when it is none. */
export function decodeFrame(message: ArrayBuffer): Frame | undefined {
  const b = new Uint8Array(message);
  const head = fixed + (b[1] ?? 0);
  if (b.length < head || !b[1]) return undefined;
  let id = "";
  for (let i = 2; i < head - 8; i++) id += String.fromCharCode(b[i]!);
  const seq = Number(new DataView(message).getBigUint64(head - 8));
  return Number.isSafeInteger(seq) ? { kind: b[0]!, id, seq, data: b.subarray(head) } : undefined;
}
