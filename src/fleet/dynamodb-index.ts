import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { errorCodes } from '../errors.ts';
import type { Candidate } from './dispatch-plan.ts';
import { fingerprintOf, type IssuerFields } from './issuer.ts';
import type { Entry, IssuerIndex } from './issuer-index.ts';
import { type IssuerState, untried } from './issuer-state.ts';

type Item = Record<string, AttributeValue>;

/**
 * The index as a DynamoDB table, one item an issuer: `issuer_id`, its `fields`, their `fingerprint`, and the `state` of its
 * last try. A look at ten thousand is a scan of a few megabytes; that costs less than an index by time, and can't disagree
 * with the items.
 */
export function createDynamoDbIndex(client: Pick<DynamoDBClient, 'send'>, tableName: string): IssuerIndex {
  async function candidates(): Promise<readonly Candidate[]> {
    const found: Candidate[] = [];
    let from: Item | undefined;
    do {
      const page = await client.send(
        new ScanCommand({
          TableName: tableName,
          ExclusiveStartKey: from,
          ProjectionExpression: 'issuer_id, fingerprint, #fields.#environment, #fields.#owner, #state',
          // Some of these are reserved words of DynamoDB, and the others may become some.
          ExpressionAttributeNames: {
            '#fields': 'fields',
            '#environment': 'environment',
            '#owner': 'owner',
            '#state': 'state',
          },
        }),
      );
      for (const item of page.Items ?? []) {
        const issuerId = item['issuer_id']?.S ?? '';
        const { environment = '', owner = issuerId } = fieldsOf(item);
        const fingerprint = item['fingerprint']?.S ?? '';
        found.push({ issuerId, owner, host: environment, fingerprint, state: stateOf(item) });
      }
      from = page.LastEvaluatedKey;
    } while (from);
    return found;
  }

  async function find(issuerId: string): Promise<Entry | undefined> {
    const { Item: item } = await client.send(
      // Read consistently: a configuration that was just corrected must not fail once more.
      new GetItemCommand({ TableName: tableName, Key: keyOf(issuerId), ConsistentRead: true }),
    );
    return item && { fields: fieldsOf(item), state: stateOf(item) };
  }

  async function keep({ fields }: Entry, state: IssuerState): Promise<void> {
    const command = new UpdateItemCommand({
      TableName: tableName,
      Key: keyOf(fields['issuer_id'] ?? ''),
      UpdateExpression: 'SET #state = :state',
      // An item that was removed does not come back.
      ConditionExpression: 'fingerprint = :fingerprint',
      ExpressionAttributeNames: { '#state': 'state' },
      ExpressionAttributeValues: { ':state': stored(state), ':fingerprint': { S: fingerprintOf(fields) } },
    });
    await client.send(command).catch((error: unknown) => {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
    });
  }

  return { candidates, find, keep };
}

const keyOf = (issuerId: string): Item => ({ issuer_id: { S: issuerId } });

/** The item of a new issuer, or of one whose configuration was changed: nothing is known of how it fares. */
export const itemOf = (fields: IssuerFields): Item => ({
  ...keyOf(fields['issuer_id'] ?? ''),
  fields: { M: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, { S: value }])) },
  fingerprint: { S: fingerprintOf(fields) },
  state: stored(untried),
});

const stored = ({ expiresAt, triedAt, failures, failedWith, host }: IssuerState): AttributeValue => ({
  M: {
    expires_at: { N: String(expiresAt) },
    tried_at: { N: String(triedAt) },
    failures: { N: String(failures) },
    ...(failedWith && { failed_with: { S: failedWith } }),
    ...(host && { host: { S: host } }),
  },
});

const fieldsOf = (item: Item): Record<string, string> =>
  Object.fromEntries(
    Object.entries(item['fields']?.M ?? {}).flatMap(([name, value]) =>
      value.S === undefined ? [] : [[name, value.S]],
    ),
  );

/** What is not there, or not understood, is not known: then the issuer is tried. */
function stateOf(item: Item): IssuerState {
  const { expires_at, tried_at, failures, failed_with, host } = item['state']?.M ?? {};
  const number = (value: AttributeValue | undefined) => Number(value?.N ?? 0);
  return {
    expiresAt: number(expires_at),
    triedAt: number(tried_at),
    failures: number(failures),
    failedWith: errorCodes.find((code) => code === failed_with?.S),
    host: host?.S === 'answered' || host?.S === 'silent' ? host.S : undefined,
  };
}
