import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { expect } from 'vitest';
import { type Rule, stsReference } from '../rule.ts';

export const identityRules: readonly Rule[] = [
  {
    id: 'caller-identity',
    statement: "GetCallerIdentity gives the caller's account, ARN and user id.",
    source: stsReference('GetCallerIdentity', 'Response Elements'),
    async check({ sts }) {
      const { Account, Arn, UserId } = await sts.send(new GetCallerIdentityCommand({}));
      expect(Account).toMatch(/^\d{12}$/);
      expect(Arn).toMatch(new RegExp(`^arn:aws:(iam|sts)::${Account}:`));
      expect(UserId).toMatch(/./);
    },
  },
];
