import type { Rule } from './rule.ts';
import { keyRules } from './rules/kms-keys.ts';
import { signRules } from './rules/kms-sign.ts';
import { invokeRules } from './rules/lambda-invoke.ts';
import { deletionRules } from './rules/secret-deletion.ts';
import { listingRules } from './rules/secret-listing.ts';
import { readingRules } from './rules/secret-reading.ts';
import { stageRules } from './rules/secret-stages.ts';
import { writingRules } from './rules/secret-writing.ts';
import { identityRules } from './rules/sts.ts';

/** Every AWS behaviour that the product and who tries it out rely on, in the order of docs/fidelity.md. */
export const chapters: readonly { readonly title: string; readonly rules: readonly Rule[] }[] = [
  { title: 'KMS: signing', rules: signRules },
  { title: 'KMS: keys', rules: keyRules },
  { title: 'Secrets Manager: reading', rules: readingRules },
  { title: 'Secrets Manager: writing', rules: writingRules },
  { title: 'Secrets Manager: stages and rotation', rules: stageRules },
  { title: 'Secrets Manager: deletion', rules: deletionRules },
  { title: 'Secrets Manager: listing', rules: listingRules },
  { title: 'Lambda: invoking', rules: invokeRules },
  { title: 'STS', rules: identityRules },
];

export const rules: readonly Rule[] = chapters.flatMap((chapter) => chapter.rules);
