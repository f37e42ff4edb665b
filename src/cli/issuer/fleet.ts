import { createDynamoDbIndex } from '../../fleet/dynamodb-index.ts';
import type { IssuerIndex } from '../../fleet/issuer-index.ts';
import { systemClock } from '../../shared/clock.ts';
import { asCliFailure, failure } from '../frame/cli-failure.ts';
import type { Session } from '../frame/command.ts';
import { output, readFleetStack, readIdentity } from '../frame/stage.ts';
import { createPace } from './pace.ts';

/** "AWS KMS Developer Guide", Request quotas: five a second each of CreateKey and CreateAlias, of all that make some. */
const KEYS_PER_SECOND = 4;
/** "Secrets Manager quotas": 50 writing calls a second in an account, of which the refreshes need 30, and 44 at times. */
const SECRETS_PER_SECOND = 4;
/** "Lambda quotas", control plane API requests: 15 a second in an account, all together. */
const ALIAS_CALLS_PER_SECOND = 10;

/** The stack for many issuers, and what its issuers are kept in. */
export interface Fleet extends Session {
  readonly tableName: string;
  /** The function whose aliases are the issuers. */
  readonly tokenFunction: string;
  readonly secretPrefix: string;
  readonly index: Pick<IssuerIndex, 'candidates' | 'find'>;
  /** Each call of its kind waits for its turn. */
  readonly pace: Readonly<Record<'key' | 'secret' | 'alias', () => Promise<void>>>;
}

/** @throws CliFailure STACK_MISSING, or what keeps these credentials from it. */
export async function openFleet(session: Session): Promise<Fleet> {
  const { clients, flags, place } = session;
  const [identity, stack] = await Promise.all([readIdentity(clients), readFleetStack(clients, flags.stage)]);
  place.account = identity.account;
  place.region = identity.region;
  const tableName = output(stack, 'IssuersTableName');
  const index = createDynamoDbIndex(await clients.dynamoDb(), tableName);
  const told = <T>(work: Promise<T>, action: string) =>
    work.catch((error: unknown) => {
      throw asCliFailure(error, `dynamodb:${action}`);
    });
  return {
    ...session,
    tableName,
    tokenFunction: output(stack, 'TokenFunctionName'),
    secretPrefix: output(stack, 'SecretPrefix'),
    index: {
      candidates: () => told(index.candidates(), 'Scan'),
      find: (issuerId) => told(index.find(issuerId), 'GetItem'),
    },
    pace: {
      key: createPace(KEYS_PER_SECOND, systemClock),
      secret: createPace(SECRETS_PER_SECOND, systemClock),
      alias: createPace(ALIAS_CALLS_PER_SECOND, systemClock),
    },
  };
}

export const noSuchIssuer = (issuerId: string) =>
  failure('NO_SUCH_ISSUER', `There is no issuer ${issuerId}.`, 'd1-token issuer list shows which there are.');
