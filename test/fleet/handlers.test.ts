import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwsError } from '../../sandbox/aws/aws-error.ts';
import { DynamoDb } from '../../sandbox/aws/dynamodb.ts';
import { createDynamoDbIndex, itemOf } from '../../src/fleet/dynamodb-index.ts';
import type { IssuerFields } from '../../src/fleet/issuer.ts';
import { untried } from '../../src/fleet/issuer-state.ts';

// The entry points as Lambda loads them, with real clients over HTTP: a table of the sandbox's, and a queue that only takes.

const TABLE = 'issuers';
const context = { getRemainingTimeInMillis: () => 60_000 } as Context;

interface Entry {
  readonly Id: string;
  readonly MessageBody: string;
  readonly MessageGroupId: string;
  readonly DelaySeconds: number;
}

let table: DynamoDb;
let sent: Entry[];
let isTableBroken: boolean;
/** The message that the queue does not take, by what it says. */
let refused: string | undefined;

const aws = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', async () => {
    const answer = (status: number, body: unknown) =>
      void response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
    const [service = '', operation = ''] = String(request.headers['x-amz-target']).split('.');
    const input = JSON.parse(Buffer.concat(chunks).toString());
    try {
      if (service === 'AmazonSQS') answer(200, queue(input.Entries));
      else if (isTableBroken) answer(400, { __type: 'AccessDeniedException', message: 'No.' });
      else answer(200, await table.handle(operation, input));
    } catch (thrown) {
      if (thrown instanceof AwsError) answer(thrown.status, { __type: thrown.type, message: thrown.message });
      else answer(500, { __type: 'InternalServerError' });
    }
  });
});

function queue(entries: readonly Entry[]) {
  const taken = entries.filter(({ MessageBody }) => refused === undefined || !MessageBody.includes(refused));
  sent.push(...taken);
  return {
    Successful: taken.map(({ Id, MessageBody }) => ({
      Id,
      MessageId: Id,
      MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex'),
    })),
    Failed: entries.filter((entry) => !taken.includes(entry)).map(({ Id }) => ({ Id, Code: 'No', SenderFault: false })),
  };
}

const fieldsOf = (issuerId: string, more: IssuerFields = {}): IssuerFields => ({
  issuer_id: issuerId,
  key_id: 'kid',
  environment: 'production',
  signing_key_id: 'alias/one',
  token_secret_id: `d1/${issuerId}/access-token`,
  client_certificate_secret_id: `d1/${issuerId}/client-certificate`,
  ...more,
});

/** The lines that the functions log, as JSON; each has its issuer and its correlation id. */
function loggedFailures(): Record<string, unknown>[] {
  return [...written.matchAll(/^\{.*"outcome":"failed".*\}$/gm)].map(([line]) => JSON.parse(line));
}

let written = '';
let client: DynamoDBClient;
let dispatch: (event: unknown, context: Context) => Promise<void>;
let work: (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>;

const add = (fields: IssuerFields) => client.send(new PutItemCommand({ TableName: TABLE, Item: itemOf(fields) }));
const index = () => createDynamoDbIndex(client, TABLE);
const event = (...bodies: readonly string[]) =>
  ({ Records: bodies.map((body, at) => ({ messageId: `message-${at}`, body })) }) as SQSEvent;
const errandOf = (issuerId: string) => JSON.stringify({ issuer_id: issuerId, not_before: 0 });

beforeAll(async () => {
  aws.listen(0, '127.0.0.1');
  await once(aws, 'listening');
  const endpoint = `http://127.0.0.1:${(aws.address() as AddressInfo).port}`;
  vi.stubEnv('AWS_ENDPOINT_URL', endpoint);
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'nobody');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'nobody');
  vi.stubEnv('D1_ISSUERS_TABLE', TABLE);
  vi.stubEnv('D1_QUEUE_URL', `${endpoint}/000000000000/errands`);
  client = new DynamoDBClient({});
  ({ handler: dispatch } = await import('../../src/fleet/dispatch-handler.ts'));
  ({ handler: work } = await import('../../src/fleet/work-handler.ts'));
});

beforeEach(() => {
  written = '';
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      written += text;
      return true;
    });
  }
  table = new DynamoDb({ tables: { [TABLE]: 'issuer_id' } });
  sent = [];
  isTableBroken = false;
  refused = undefined;
});

afterEach(() => {
  vi.restoreAllMocks();
});

afterAll(() => {
  vi.unstubAllEnvs();
  client.destroy();
  aws.closeAllConnections();
  aws.close();
});

describe('the tick for many issuers', () => {
  it('sends an errand for each that is due, in the name of its owner', async () => {
    await add(fieldsOf('ISSUER2001', { owner: 'bank' }));
    await add(fieldsOf('ISSUER2002'));
    await dispatch({}, context);
    const told = sent.map(({ MessageBody, MessageGroupId }) => [JSON.parse(MessageBody).issuer_id, MessageGroupId]);
    expect(told.sort()).toEqual([
      ['ISSUER2001', 'bank'],
      ['ISSUER2002', 'ISSUER2002'],
    ]);
    expect(sent.every(({ DelaySeconds }) => DelaySeconds >= 0 && DelaySeconds <= 1)).toBe(true);
  });

  it('sends what the queue did not take with the next one', async () => {
    await add(fieldsOf('ISSUER2003'));
    refused = 'ISSUER2003';
    await dispatch({}, context);
    expect(sent).toEqual([]);
    refused = undefined;
    await dispatch({}, context);
    expect(sent.map(({ MessageBody }) => JSON.parse(MessageBody).issuer_id)).toEqual(['ISSUER2003']);
  });

  it('fails when the table cannot be read: then the next tick looks', async () => {
    isTableBroken = true;
    await expect(dispatch({}, context)).rejects.toThrow('No.');
  });
});

describe('the worker', () => {
  it('keeps what came of a try in the table, and passes over what is no errand and who is no more', async () => {
    await add(fieldsOf('ISSUER2004', { environment: 'moon' }));
    const answer = await work(event(errandOf('ISSUER2004'), errandOf('GONE'), 'nonsense'), context);
    expect(answer).toEqual({ batchItemFailures: [] });
    const entry = await index().find('ISSUER2004');
    expect(entry?.state).toMatchObject({ failures: 1, failedWith: 'CONFIG_INVALID', host: undefined });
    expect(loggedFailures()).toMatchObject([
      { error_code: 'CONFIG_INVALID', issuer_id: 'ISSUER2004', correlation_id: expect.any(String) },
    ]);
    expect(written).toContain('field environment is');
  });

  it('gives a message back when the table would not answer', async () => {
    isTableBroken = true;
    expect(await work(event('nonsense', errandOf('ISSUER2004')), context)).toEqual({
      batchItemFailures: [{ itemIdentifier: 'message-1' }],
    });
    expect(loggedFailures()).toMatchObject([{ action: 'refresh', issuer_id: 'ISSUER2004', outcome: 'failed' }]);
    expect(written).toContain('the queue brings it again');
  });
});

describe('the table', () => {
  it('gives back the fields and the state that were put into it', async () => {
    await add(fieldsOf('ISSUER2005'));
    const found = await index().find('ISSUER2005');
    expect(found).toEqual({
      fields: fieldsOf('ISSUER2005'),
      state: { ...untried, failedWith: undefined, host: undefined },
    });
    if (!found) return;
    await index().keep(found, { expiresAt: 7, triedAt: 8, failures: 0, host: 'answered' });
    const [candidate] = await index().candidates();
    expect(candidate).toMatchObject({ issuerId: 'ISSUER2005', owner: 'ISSUER2005', host: 'production' });
    expect(candidate?.state).toMatchObject({ expiresAt: 7, triedAt: 8, failures: 0, host: 'answered' });
  });

  it('keeps no outcome for an issuer that was changed meanwhile, and lets none come back that was removed', async () => {
    await add(fieldsOf('ISSUER2006'));
    const before = await index().find('ISSUER2006');
    await add(fieldsOf('ISSUER2006', { key_id: 'another' }));
    if (!before) throw new Error('It was put there.');
    await index().keep(before, { ...untried, failures: 9 });
    await index().keep({ ...before, fields: fieldsOf('NEVER') }, { ...untried, failures: 9 });
    expect((await index().find('ISSUER2006'))?.state.failures).toBe(0);
    expect(await index().find('NEVER')).toBeUndefined();
  });
});
