/** Something that may never be told, and what to call it when it was. */
export interface Secret {
  readonly label: string;
  readonly text: string;
}

/** So many characters in a row are no coincidence: they are a piece of the secret. */
export const PIECE_CHARACTERS = 16;

/**
 * Looks for every piece of every secret in what was emitted: as it is, in base64, and in the hexadecimal that
 * `util.inspect` shows of a Buffer.
 *
 * @returns The labels of the secrets that were found; never a secret itself, because it would be in a test's output.
 */
export function findLeaks(emitted: string, secrets: readonly Secret[]): string[] {
  const pieces = new Map<string, string>();
  for (const { label, text } of secrets) {
    if (text.length < PIECE_CHARACTERS) throw new Error(`${label} is too short to be searched for`);
    const bytes = Buffer.from(text);
    const hexadecimal = bytes.toString('hex').replace(/..(?=.)/g, '$& ');
    for (const form of [text, bytes.toString('base64'), hexadecimal]) {
      for (let at = 0; at + PIECE_CHARACTERS <= form.length; at += 1) {
        pieces.set(form.slice(at, at + PIECE_CHARACTERS), label);
      }
    }
  }
  const found = new Set<string>();
  for (let at = 0; at + PIECE_CHARACTERS <= emitted.length; at += 1) {
    const label = pieces.get(emitted.slice(at, at + PIECE_CHARACTERS));
    if (label !== undefined) found.add(label);
  }
  return [...found];
}
