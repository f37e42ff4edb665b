import { crc32, deflateRawSync } from 'node:zlib';

/** 1980-01-01, the oldest that the format knows: the same files make the same zip, byte by byte. */
const DATE = 0x21;
const DEFLATE = 8;
const VERSION = 20;
const UNIX = 3;
/** A plain file that everybody may read: Lambda runs the code as another user. */
const MODE = 0o100_644;

/**
 * Makes a zip of a few files.
 *
 * Source: PKWARE, APPNOTE.TXT 6.3, 4.3.7 (local file header), 4.3.12 (central directory), 4.3.16 (its end).
 */
export function zip(files: readonly { readonly name: string; readonly content: Uint8Array }[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of files) {
    const path = Buffer.from(name);
    const packed = deflateRawSync(content, { level: 9 });
    /** What both headers say alike. */
    const facts = numbers(
      [2, VERSION],
      [2, 0],
      [2, DEFLATE],
      [2, 0],
      [2, DATE],
      [4, crc32(content)],
      [4, packed.length],
      [4, content.length],
      [2, path.length],
      [2, 0],
    );
    const local = Buffer.concat([numbers([4, 0x0403_4b50]), facts, path, packed]);
    const made = numbers([4, 0x0201_4b50], [2, (UNIX << 8) | VERSION]);
    const place = numbers([2, 0], [2, 0], [2, 0], [4, MODE * 0x1_0000], [4, offset]);
    parts.push(local);
    directory.push(Buffer.concat([made, facts, place, path]));
    offset += local.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = files.length;
  const end = numbers([4, 0x0605_4b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
  return Buffer.concat([...parts, ...directory, end]);
}

/** Little-endian, each with its number of bytes. */
function numbers(...fields: readonly (readonly [bytes: number, value: number])[]): Buffer {
  return Buffer.concat(
    fields.map(([bytes, value]) => {
      const field = Buffer.alloc(bytes);
      field.writeUIntLE(value, 0, bytes);
      return field;
    }),
  );
}
