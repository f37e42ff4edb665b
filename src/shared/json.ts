/**
 * `JSON.parse` quotes its input in the error that it throws, and the input here may be a token or a private key.
 *
 * @returns `undefined` when the text is not JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
