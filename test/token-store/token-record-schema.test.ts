import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import jsonSchema from '../../src/shared/token-record.schema.json' with { type: 'json' };
import { parseTokenRecord, tokenRecordFields } from '../../src/shared/token-record.ts';
import tokenRecords from '../languages/token-records.json' with { type: 'json' };
import { sampleRecord } from './sample-record.ts';

const acceptedByJsonSchema = new Ajv2020({ strict: true }).compile(jsonSchema);

/** `expires_at` against `obtained_at` + `expires_in` is the one rule that JSON Schema has no words for. */
const withoutIt = (value: unknown) => {
  const { expires_in } = { ...(value as Record<string, unknown> | null) };
  return typeof expires_in === 'number' && expires_in > 0
    ? { ...(value as object), expires_in: Number.MAX_VALUE }
    : value;
};
const isRecord = (value: unknown) => 'record' in parseTokenRecord(JSON.stringify(value));
const acceptedByBroker = (value: unknown) => isRecord(withoutIt(value));

/** What a field may come as: right, nearly right, or anything that JSON can hold. */
const nearMisses = fc.constantFrom<unknown>(
  '',
  ' ',
  'a b',
  'ü',
  '~!',
  'tail\n',
  'Bearer',
  '1',
  0,
  1,
  2,
  -1,
  0.5,
  1e-7,
  900,
  1_795_000_000,
  4_102_444_800,
  4_102_444_801,
  1_795_000_000_000,
  Number.MAX_VALUE,
  null,
  true,
  [],
  {},
);
const absent = Symbol('absent');
const changes = fc.uniqueArray(
  fc.tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...Object.keys(sampleRecord()), 'forced_writes_settled_at') },
      fc.string(),
    ),
    fc.oneof({ weight: 6, arbitrary: nearMisses }, { weight: 1, arbitrary: fc.constant(absent) }, fc.jsonValue()),
  ),
  { maxLength: 3, selector: ([field]) => field },
);
const records = changes.map((list) => {
  const record: Record<string, unknown> = { ...sampleRecord() };
  for (const [field, value] of list) {
    if (value === absent) delete record[field];
    else record[field] = value;
  }
  // Through text, because that is how a record reaches either of them.
  return JSON.parse(JSON.stringify(record)) as unknown;
});

describe('The JSON Schema that consumers get', () => {
  it('accepts what the broker writes', () => {
    expect(acceptedByJsonSchema(sampleRecord())).toBe(true);
  });

  it('accepts a record that says when the budget of forced writes is whole again', () => {
    expect(acceptedByJsonSchema(sampleRecord({ forced_writes_settled_at: 1_795_007_200 }))).toBe(true);
  });

  // Python, Java and Go hold the schema against the same table: `npm run test:examples`.
  it.each(tokenRecords.cases)('says the right thing of a record with $name', ({ field, value, valid }) => {
    const record = { ...tokenRecords.record, [field]: value };
    expect(acceptedByJsonSchema(record)).toBe(valid);
    expect('record' in parseTokenRecord(JSON.stringify(record))).toBe(valid);
  });

  // Where `$` also matches before a last newline (Python, Java), an anchored pattern would let it through.
  it('has no pattern with an anchor', () => {
    expect(JSON.stringify(jsonSchema)).not.toMatch(/"pattern":"(\^|[^"]*\$")/);
  });

  it('accepts and refuses the same records as the broker', () => {
    let accepted = 0;
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: records }, fc.jsonValue()), (value) => {
        const verdict = acceptedByJsonSchema(value);
        if (verdict) accepted += 1;
        else refused += 1;
        expect(acceptedByBroker(value)).toBe(verdict);
      }),
      { numRuns: 3_000 },
    );
    // Agreement about nothing would be worthless.
    expect(accepted).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  });

  it('cannot hold expires_at against obtained_at + expires_in: that rule is the broker’s alone, and it is in the description', () => {
    const optimistic = sampleRecord({ expires_in: 60, expires_at: sampleRecord().obtained_at + 900 });
    expect(acceptedByJsonSchema(optimistic)).toBe(true);
    expect(isRecord(optimistic)).toBe(false);
    expect(jsonSchema.description).toContain('expires_at is at most obtained_at + expires_in + 1');
  });

  it('describes every field that the broker knows, and no other', () => {
    expect(Object.keys(jsonSchema.properties).sort()).toEqual([...tokenRecordFields].sort());
    for (const { description } of Object.values(jsonSchema.properties)) expect(description).toMatch(/\.$/);
  });
});
