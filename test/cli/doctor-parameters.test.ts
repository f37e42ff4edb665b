import { describe, expect, it } from 'vitest';
import { check, rules } from '../../infra/check-parameters.ts';
import { firstOf } from '../../src/cli/doctor/doctor.ts';
import { numberSettings, textSettings } from '../../src/config.ts';
import { missingPieces } from './doctor-landing-zone.ts';
import { harmless, refused, wrongParameters } from './doctor-parameters.ts';
import { examine, named } from './examine.ts';
import { openOperatedBank } from './operated-bank.ts';

const place = { stage: 'production', region: 'eu-west-1', service: 'd1-token-broker' };

describe('a wrong parameter', () => {
  it.each(refused)('is refused by the packaging, by its name: $name, $values', ({ name, values }) => {
    const result = check(place, new Map(Object.entries(values)));
    const faults = 'faults' in result ? result.faults : [];
    // What is not given here is missing, which is another fault.
    expect(
      faults.filter((fault) => fault.startsWith(`parameter ${name} `) && !fault.includes('is missing')),
    ).toHaveLength(1);
  });

  it.each(wrongParameters)('is what the doctor names first: $names, $what', async ({ first, breakIt }) => {
    const bank = await openOperatedBank();
    await bank.tick();
    await breakIt(bank);
    expect(named(firstOf(await examine(bank)))).toEqual(first);
  });

  it('has a row, whichever it is', () => {
    const packaged = new Set(refused.map(({ name }) => name));
    const judged = new Set([...[...wrongParameters, ...missingPieces].flatMap(({ names }) => names), ...harmless]);
    const parameters = Object.keys(rules);
    expect(parameters.filter((name) => !packaged.has(name) || !judged.has(name))).toEqual([]);
    const variables = [...Object.values(textSettings), ...Object.values(numberSettings)].map(
      ({ variable }) => variable,
    );
    expect(variables.filter((name) => !judged.has(name))).toEqual([]);
  });
});
