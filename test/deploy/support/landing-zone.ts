/** Each parameter that is for landing zones, by itself: with what it can't be without. */
export const alone = {
  landingZone: { landingZone: 'test/deploy/support/landing-zone.yml' },
  consumerPrincipals: {
    consumerPrincipals: '222233334444,arn:aws:iam::333344445555:role/payments',
    certificateReaders: 'arn:aws:iam::333344445555:role/payments',
  },
  organizationId: { consumerPrincipals: '222233334444', organizationId: 'o-exampleorgid' },
  vpc: {
    subnetIds: 'subnet-0123456789abcdef0,subnet-0fedcba9876543210',
    securityGroupIds: 'sg-0123456789abcdef0',
  },
  egressProxy: { egressProxy: 'http://proxy.bank.example:3128', noProxy: '.amazonaws.com' },
  fips: { fips: 'true' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

/** All at once. */
export const together = Object.assign(
  {},
  alone.fips,
  alone.egressProxy,
  alone.vpc,
  alone.organizationId,
  alone.consumerPrincipals,
  alone.landingZone,
);

/** Where there are FIPS endpoints. */
export const FIPS_REGION = 'us-east-1';

/** The paths of `resources` at which `others` differ, without `Properties`; a list differs as a whole. */
export function differences(resources: unknown, others: unknown, path: readonly string[] = []): string[] {
  if (JSON.stringify(resources) === JSON.stringify(others)) return [];
  const areObjects = [resources, others].every((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
  if (!areObjects) return [path.filter((name) => name !== 'Properties').join('.')];
  const [left, right] = [resources, others] as [Record<string, unknown>, Record<string, unknown>];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return names.flatMap((name) => differences(left[name], right[name], [...path, name]));
}

/** A file with `${Name}` in it, filled. @throws Error when there is no value for a name. */
export function filled(text: string, values: Readonly<Record<string, unknown>>): string {
  return text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    if (values[name] === undefined) throw new Error(`There is no value for ${name}.`);
    return String(values[name]);
  });
}
