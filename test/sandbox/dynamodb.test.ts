import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ResourceNotFoundException,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { createDynamoDbIndex, itemOf } from '../../src/fleet/dynamodb-index.ts';
import { untried } from '../../src/fleet/issuer-state.ts';

let sandbox: Sandbox;
let client: DynamoDBClient;
let TableName: string;

beforeEach(async () => {
  sandbox = await startSandbox({ tokenFunction: async () => ({}) });
  TableName = sandbox.deployment.fleet?.outputs['IssuersTableName'] ?? '';
  client = new DynamoDBClient({
    endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    region: 'eu-west-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
  });
});
afterEach(async () => {
  client.destroy();
  await sandbox.close();
});

const fields = { issuer_id: 'ISSUER1001', key_id: 'kid', environment: 'staging', owner: 'BANK' };
const Key = { issuer_id: { S: 'ISSUER1001' } };

describe('An item', () => {
  it('is put once, if it must not be there, and deleted', async () => {
    const put = () =>
      client.send(
        new PutItemCommand({
          TableName,
          Item: itemOf(fields),
          ConditionExpression: 'attribute_not_exists(issuer_id)',
        }),
      );
    await put();
    await expect(put()).rejects.toBeInstanceOf(ConditionalCheckFailedException);
    expect((await client.send(new GetItemCommand({ TableName, Key }))).Item).toEqual(itemOf(fields));
    await client.send(new DeleteItemCommand({ TableName, Key }));
    expect((await client.send(new GetItemCommand({ TableName, Key }))).Item).toBeUndefined();
    expect((await client.send(new ScanCommand({ TableName }))).Items).toEqual([]);
  });

  it('serves the index: found whole, scanned in part, and its state kept only while its fields are the same', async () => {
    const index = createDynamoDbIndex(client, TableName);
    await client.send(new PutItemCommand({ TableName, Item: itemOf(fields) }));
    const entry = await index.find('ISSUER1001');
    expect(entry).toMatchObject({ fields, state: untried });
    expect(await index.candidates()).toMatchObject([{ issuerId: 'ISSUER1001', owner: 'BANK', host: 'staging' }]);
    if (!entry) return;
    await index.keep(entry, { expiresAt: 900, triedAt: 1_000, failures: 0 });
    await index.keep({ ...entry, fields: { ...fields, key_id: 'another' } }, untried);
    expect((await index.find('ISSUER1001'))?.state).toMatchObject({ expiresAt: 900 });
  });
});

it.each([
  ['a table that is not there', { TableName: 'elsewhere' }, ResourceNotFoundException],
  ['an expression that it does not know', { UpdateExpression: 'ADD x :x' }, Error],
  ['an item without its key', { Key: { id: { S: 'x' } } }, Error],
])('It refuses %s', async (_what, wrong, kind) => {
  const input = { TableName, Key, UpdateExpression: 'SET x = :x', ExpressionAttributeValues: { ':x': { N: '1' } } };
  await expect(client.send(new UpdateItemCommand({ ...input, ...wrong }))).rejects.toBeInstanceOf(kind);
});
