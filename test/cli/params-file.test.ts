import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parameterIn, withParameters } from '../../src/cli/frame/params-file.ts';

const real = readFileSync(new URL('../../infra/params.yml', import.meta.url), 'utf8');

const changed = (text: string, wanted: Record<string, string>, stage = 'staging') => {
  const result = withParameters(text, stage, new Map(Object.entries(wanted)));
  return 'why' in result ? result.why : result.text;
};

describe('the parameters of a stage', () => {
  it.each([
    ['a word', 'staging:\n  keyId: old\n', 'staging:\n  keyId: "new"\n'],
    ['a word in quotes, and a comment', 'staging:\n  keyId: "old # 1"   # why\n', 'staging:\n  keyId: "new"   # why\n'],
    ['single quotes', "staging:\n  keyId: 'o''ld'\n", 'staging:\n  keyId: "new"\n'],
    ['a hash inside of a word', 'staging:\n  keyId: old#1 # why\n', 'staging:\n  keyId: "new" # why\n'],
    ['spaces before the colon', 'staging:\n  keyId :  old\n', 'staging:\n  keyId :  "new"\n'],
    [
      'lines that end as on Windows',
      'staging: # s\r\n    keyId: old\r\nb:\r\n',
      'staging: # s\r\n    keyId: "new"\r\nb:\r\n',
    ],
    ['no end of the last line', 'staging:\n  keyId: old', 'staging:\n  keyId: "new"'],
    [
      'another stage with the same parameter, and a comment in the first column',
      'default:\n  keyId: old\nstaging:\n# here\n  issuerId: a\n\n  keyId: old\n\n# there\nproduction:\n  keyId: old\n',
      'default:\n  keyId: old\nstaging:\n# here\n  issuerId: a\n\n  keyId: "new"\n\n# there\nproduction:\n  keyId: old\n',
    ],
    [
      'a parameter that only default has',
      'default:\n  keyId: old\nstaging:\n  issuerId: a\n  # keyId:\n# there\nproduction:\n',
      'default:\n  keyId: old\nstaging:\n  issuerId: a\n  # keyId:\n  keyId: "new"\n# there\nproduction:\n',
    ],
    [
      'a list of its own further in',
      'staging:\n  list:\n    keyId: x\n  keyId: old\n',
      'staging:\n  list:\n    keyId: x\n  keyId: "new"\n',
    ],
  ])('are changed where they stand, and every other byte stays: %s', (_what, before, after) => {
    expect(changed(before, { keyId: 'new' })).toBe(after);
    expect(changed(after, { keyId: 'new' })).toBe(after);
    expect(parameterIn(after, 'staging', 'keyId')).toBe('new');
  });

  it.each([
    ['no such stage', 'staging-2:\n  keyId: old\n', 'it has no stage staging'],
    ['a stage on one line', 'staging: { keyId: old }\n', 'it has no stage staging'],
    ['a variable', `staging:\n  keyId: \${env:KID, 'a'}\n`, 'keyId is not a plain value'],
    ['a value on more lines', 'staging:\n  keyId: >-\n    old\n', 'keyId is not a plain value'],
    ['a value that goes on', 'staging:\n  keyId: old\n    and more\n', 'keyId is not a plain value'],
    ['no value', 'staging:\n  keyId:\n', 'keyId is not a plain value'],
    ['an anchor', 'staging:\n  keyId: &kid old\n', 'keyId is not a plain value'],
    ['a parameter twice', 'staging:\n  keyId: a\n  "keyId": b\n', 'keyId is there twice'],
  ])('are left to a person: %s', (_what, text, why) => {
    expect(changed(text, { keyId: 'new' })).toBe(why);
  });

  it('leave a default as it is where it says the same, and write words of ours without quotes', () => {
    const wanted = { activeSigningKey: 'next', keyId: 'none', nextKeyId: '00012345' };
    const after = changed(real, { activeSigningKey: 'current', nextKeyId: 'none' }, 'example');
    expect(after).toBe(real);
    expect(changed(real, wanted, 'example')).toBe(
      real.replace('  keyId: example-key-1\n', '  keyId: none\n  activeSigningKey: next\n  nextKeyId: "00012345"\n'),
    );
  });
});
