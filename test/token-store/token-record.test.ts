import { describe, expect, it } from 'vitest';
import { parseTokenRecord, secondsLeft } from '../../src/shared/token-record.ts';
import { sampleRecord } from './sample-record.ts';

const parse = (value: unknown) => parseTokenRecord(JSON.stringify(value));
const brokenField = (field: string) => ({ why: `field ${field} is missing or not as the schema says` });

describe('A token record', () => {
  it('is read as it was written', () => {
    expect(parse(sampleRecord())).toEqual({ record: sampleRecord() });
  });

  it('may do without a scope: D1 need not say one', () => {
    const { scope, ...rest } = sampleRecord();
    expect(parse(rest)).toEqual({ record: rest });
  });

  it('keeps the fields that it does not know, so that a newer broker can add some', () => {
    const newer = { ...sampleRecord(), region: 'eu-west-1', hints: { refresh_at: 7 } };
    expect(parse(newer)).toEqual({ record: newer });
  });

  it('may have been obtained by a clock that was between two seconds: one second of rounding is allowed', () => {
    const rounded = sampleRecord({ expires_in: 899.4, expires_at: 1_795_000_900 });
    expect(parse(rounded)).toEqual({ record: rounded });
    const aWholeSecond = sampleRecord({ expires_at: sampleRecord().obtained_at + 900 + 1 });
    expect(parse(aWholeSecond)).toEqual({ record: aWholeSecond });
  });

  it.each([
    ['access_token', [undefined, null, 7, '', 'with space', 'with\nnewline', 'ünïcode', 'tab\t', 'del\x7f']],
    ['token_type', [undefined, null, 7, '']],
    ['scope', [null, 7, ['issuer.read']]],
    ['expires_in', [undefined, null, '900', 0, -1]],
    ['expires_at', [undefined, null, '1795000900', 1.5, -1, 4_102_444_801]],
    ['obtained_at', [undefined, null, '1795000000', 1.5, -1, 4_102_444_801]],
    ['issuer_id', [undefined, null, 7, '']],
    ['key_id', [undefined, null, 7, '']],
    ['correlation_id', [undefined, null, 7, '']],
    ['schema_version', [undefined, null, '1', 0, 2, 1.5]],
  ])('is none when %s is wrong, and the field is named', (field, values) => {
    for (const value of values) expect(parse({ ...sampleRecord(), [field]: value })).toEqual(brokenField(field));
  });

  it('is none when its life has no end, which JSON can say by accident', () => {
    const text = JSON.stringify(sampleRecord()).replace('"expires_in":900', '"expires_in":1e400');
    expect(parseTokenRecord(text)).toEqual(brokenField('expires_in'));
  });

  it('is none when an instant is in milliseconds', () => {
    const { expires_at, obtained_at } = sampleRecord();
    expect(parse(sampleRecord({ expires_at: expires_at * 1000 }))).toEqual(brokenField('expires_at'));
    expect(parse(sampleRecord({ obtained_at: obtained_at * 1000 }))).toEqual(brokenField('obtained_at'));
  });

  it('is none when it claims to live longer than D1 has promised', () => {
    const optimistic = sampleRecord({ expires_at: sampleRecord().obtained_at + 900 + 2 });
    expect(parse(optimistic)).toEqual(brokenField('expires_at'));
  });

  it.each(['null', '7', '"text"', 'true'])('is none when the JSON is %s', (text) => {
    expect(parseTokenRecord(text)).toEqual({ why: 'it is not a JSON object' });
  });

  it('is none when it is a list', () => {
    expect(parse([sampleRecord()])).toHaveProperty('why');
  });

  it.each(['', 'hunter2', '{"access_token":"hunter2"', '\uFEFF{}'])(
    'is none when it is not JSON, and the text is not quoted',
    (text) => {
      expect(parseTokenRecord(text)).toEqual({ why: 'it is not JSON' });
    },
  );

  it('never has a value of the secret in the reason', () => {
    for (const field of Object.keys(sampleRecord())) {
      const reason = JSON.stringify(parse({ ...sampleRecord(), [field]: { hunter2: 'hunter2' } }));
      expect(reason).toContain(field);
      expect(reason).not.toContain('hunter2');
    }
  });

  it('tells the seconds that are left, less than none when it is dead', () => {
    const record = sampleRecord();
    expect(secondsLeft(record, record.obtained_at)).toBe(900);
    expect(secondsLeft(record, record.expires_at)).toBe(0);
    expect(secondsLeft(record, record.expires_at + 5)).toBe(-5);
  });
});
