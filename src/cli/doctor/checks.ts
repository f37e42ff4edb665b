import { consumerChecks } from './consumer-checks.ts';
import type { Found } from './found.ts';
import { networkOfFunctions } from './network-checks.ts';
import { operationChecks } from './operation-checks.ts';
import { replicas } from './replica-checks.ts';
import type { Check } from './run-checks.ts';
import { secretChecks } from './secret-checks.ts';
import { stackChecks } from './stack-checks.ts';

/** All checks, in the order in which they are told: a cause stands before what follows from it. */
export const checks: readonly Check<Found>[] = [
  ...stackChecks,
  ...networkOfFunctions,
  ...consumerChecks,
  ...replicas,
  ...secretChecks,
  ...operationChecks,
];

/** They say who asks, and nothing about the stage. */
export const preliminary: ReadonlySet<string> = new Set(['credentials']);
