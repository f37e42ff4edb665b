import fc from 'fast-check';

/** Printed in the name of every fuzz test; FUZZ_SEED repeats a run. */
export const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2_147_483_647);

/** Made-up secrets begin with it; no correlation id does, which is shown. Whoever finds it elsewhere has found a leak. */
export const CANARY = 'CANARY!';

export const settings = (numRuns: number) => ({ seed, numRuns });

/** Text as nobody expects it: any characters, near JSON, near numbers and dates, long, or with the canary in it. */
export const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.json({ maxDepth: 3 }),
  fc.integer().map(String),
  fc.double().map(String),
  fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  fc.string().map((text) => `${CANARY}${text}`),
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\r\n',
    '__proto__',
    'null',
    '[]',
    '{}',
    '"',
    'NaN',
    '9'.repeat(400),
    'x'.repeat(70_000),
  ),
);

/** A text with bytes flipped, cut, doubled or put in. */
export const damaged = (text: string) =>
  fc
    .array(
      fc.record({
        kind: fc.constantFrom('replace', 'insert', 'cut', 'double'),
        at: fc.nat(Math.max(0, text.length - 1)),
        length: fc.nat(40),
        what: fc.string({ unit: 'binary', maxLength: 5 }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((changes) =>
      changes.reduce((now, { kind, at, length, what }) => {
        if (kind === 'insert') return now.slice(0, at) + what + now.slice(at);
        if (kind === 'cut') return now.slice(0, at) + now.slice(at + length);
        if (kind === 'double') return now.slice(0, at + length) + now.slice(at);
        return now.slice(0, at) + what + now.slice(at + what.length);
      }, text),
    );
