/** The order n of the P-256 group (SEC 2, section 2.4.2). */
export const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** DER written by hand (X.690, sections 8.1 and 8.3), so that nothing under test takes part in making its input. */
export const tlv = (tag: number, content: Uint8Array): Buffer => {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | size.length]), size, content]);
};

/** Non-negative only: the fewest bytes, and a zero byte in front when the first bit is set. */
export const integer = (value: bigint): Buffer => {
  const digits = value.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return tlv(0x02, bytes.readUInt8(0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
};

export const sequence = (...parts: Uint8Array[]): Buffer => tlv(0x30, Buffer.concat(parts));

export const derOf = (r: bigint, s: bigint): Buffer => sequence(integer(r), integer(s));

export const rawOf = (r: bigint, s: bigint): Buffer =>
  Buffer.from([r, s].map((value) => value.toString(16).padStart(64, '0')).join(''), 'hex');

/** The two integers of a raw signature. */
export const integersOf = (raw: Uint8Array): { r: bigint; s: bigint } => {
  const hex = Buffer.from(raw).toString('hex');
  return { r: BigInt(`0x${hex.slice(0, 64)}`), s: BigInt(`0x${hex.slice(64)}`) };
};
