import { generateKeyPairSync } from 'node:crypto';
import {
  AttachUserPolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateUserCommand,
  IAMClient,
} from '@aws-sdk/client-iam';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IssuerFields } from '../../src/fleet/issuer.ts';
import { untried } from '../../src/fleet/issuer-state.ts';
import { aliasOf } from '../../src/fleet/lookup.ts';
import { createSend } from '../../src/fleet/sqs-queue.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { type DeployedFleet, deployFleet } from './support/deployed-fleet.ts';

// The stack for many issuers on MiniStack: dispatcher, queue, event source mapping, worker and aliases as they are deployed.
// The tests build on one another, in this order. Only the tick is sent by the test, because the schedule's minute is long.

const POLL_MILLISECONDS = 250;
/** A container starts, and another, and a host that hangs takes its time. */
const PATIENCE_MILLISECONDS = 90_000;

const ids = Array.from({ length: 25 }, (_, index) => `ISSUER${2001 + index}`);
const [first = '', wrongKid = '', noCertificate = '', hanging = '', removed = '', ...others] = ids;
const broken = [wrongKid, noCertificate, hanging];
const well = [first, removed, ...others];

let fleet: DeployedFleet;
const fieldsOf = new Map<string, IssuerFields>();

beforeAll(async () => {
  fleet = await deployFleet();
});

afterAll(async () => {
  await fleet?.close();
});

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MILLISECONDS;
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error(`Not seen within ${PATIENCE_MILLISECONDS} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

/** As the schedule does it, which does not wait for the end. */
const tick = () => fleet.invoke(fleet.output('DispatchFunctionName'), { how: 'Event' });

async function add(issuerId: string, changes: IssuerFields = {}): Promise<void> {
  const fields = { ...(fieldsOf.get(issuerId) ?? (await fleet.onboard(issuerId))), ...changes };
  fieldsOf.set(issuerId, fields);
  await fleet.put(fields);
}

async function states() {
  return new Map((await fleet.index.candidates()).map(({ issuerId, state }) => [issuerId, state]));
}

const allTried = async () => [...(await states()).values()].every(({ triedAt }) => triedAt > 0);

test('with one issuer, a tick has its token in its secret', async () => {
  await add(first);
  await tick();
  await eventually(allTried);
  expect((await states()).get(first)).toMatchObject({ failures: 0, host: 'answered' });
  expect(await fleet.storedIssuer(first)).toBe(first);
});

describe('with 25, of which three are broken in different ways', () => {
  test('the 22 others are served, and each failure is its own', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const faults: Record<string, IssuerFields> = {
      [noCertificate]: { client_certificate_secret_id: 'd1/not-there/client-certificate' },
      [hanging]: { environment: fleet.d1.hangingUrl },
    };
    // All are onboarded before the first is in the index: the schedule ticks too.
    for (const issuerId of ids.slice(1)) fieldsOf.set(issuerId, await fleet.onboard(issuerId));
    fleet.d1.server.removeIssuer(wrongKid);
    fleet.d1.server.provisionIssuer({
      issuerId: wrongKid,
      keyId: `kid-${wrongKid}`,
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    });
    await Promise.all(ids.slice(1).map((issuerId) => add(issuerId, faults[issuerId])));
    await tick();
    await eventually(allTried);
    const found = await states();
    expect(found.get(wrongKid)).toMatchObject({ failedWith: 'TOKEN_ENDPOINT_REJECTED', host: 'answered' });
    expect(found.get(noCertificate)).toMatchObject({ failedWith: 'CLIENT_CERTIFICATE_UNAVAILABLE' });
    expect(found.get(hanging)).toMatchObject({ failedWith: 'TOKEN_ENDPOINT_UNREACHABLE', host: 'silent' });
    expect(well).toHaveLength(22);
    for (const issuerId of well) {
      expect(found.get(issuerId), issuerId).toMatchObject({ failures: 0 });
      expect(await fleet.storedIssuer(issuerId)).toBe(issuerId);
    }
    for (const issuerId of broken) expect(await fleet.storedIssuer(issuerId)).toBeUndefined();
  });

  test("nobody's certificate crosses", () => {
    const { exchanges } = fleet.d1;
    expect(new Set(exchanges.map(({ issuerId }) => issuerId))).toEqual(new Set([...well, wrongKid]));
    for (const { issuerId, certificate } of exchanges) expect(certificate).toBe(`TLSMA-ECC/${issuerId}/PPR`);
  });

  test('an issuer whose fields are corrected is new: its failures are forgotten, and it is tried at once', async () => {
    await add(hanging, { environment: fleet.d1.server.baseUrl });
    expect((await states()).get(hanging)).toEqual({ ...untried, failedWith: undefined, host: undefined });
    await tick();
    await eventually(allTried);
    expect((await states()).get(hanging)).toMatchObject({ failures: 0 });
    expect(await fleet.storedIssuer(hanging)).toBe(hanging);
  });

  test('one that is removed is not tried any more, not even when its errand is on its way', async () => {
    await fleet.remove(removed);
    const before = fleet.d1.exchanges.length;
    const send = createSend(fleet.queue, fleet.output('ErrandsUrl'), systemClock);
    await send([{ issuerId: removed, owner: removed, notBefore: Date.now() }]);
    await eventually(async () => (await waiting()) === 0);
    expect(fleet.d1.exchanges.slice(before).map(({ issuerId }) => issuerId)).not.toContain(removed);
    expect((await states()).has(removed)).toBe(false);
  });
});

async function waiting(): Promise<number> {
  const { Attributes } = await fleet.queue.send(
    new GetQueueAttributesCommand({ QueueUrl: fleet.output('ErrandsUrl'), AttributeNames: ['All'] }),
  );
  const counts: Record<string, string | undefined> = Attributes ?? {};
  return ['', 'NotVisible', 'Delayed'].reduce(
    (sum, which) => sum + Number(counts[`ApproximateNumberOfMessages${which}`]),
    0,
  );
}

describe('a direct caller', () => {
  /** By its whole ARN, as whoever is allowed only that. */
  const call = (alias = '', as?: LambdaClient) =>
    fleet.invoke([fleet.output('TokenFunctionArn'), alias].filter(Boolean).join(':'), as && { as });

  test('gets the token of the issuer whose alias it invokes', async () => {
    for (const issuerId of [first, others[0] ?? '']) {
      const { answer, error } = await call(aliasOf(issuerId));
      const { access_token, issuer_id } = answer;
      expect({ error, issuer_id, length: String(access_token).length > 100 }).toEqual({
        error: undefined,
        issuer_id: issuerId,
        length: true,
      });
    }
  });

  test('is refused by an alias that no issuer stands behind, and without an alias', async () => {
    // ministack-deviations.ts, errorType: test/fleet/token-handler.test.ts sees that the code is EVENT_INVALID.
    expect(await call(aliasOf(removed))).toMatchObject({
      error: 'Unhandled',
      answer: { errorMessage: expect.stringContaining(`There is no issuer ${removed}.`) },
    });
    expect(await call()).toMatchObject({
      error: 'Unhandled',
      answer: { errorMessage: expect.stringContaining('The function was invoked without an alias.') },
    });
  });

  test("that may invoke one issuer's alias can invoke no other, nor the function", async () => {
    const as = new LambdaClient({
      ...fleet.place,
      credentials: await createCaller(`${fleet.output('TokenFunctionArn')}:${aliasOf(first)}`),
    });
    expect((await call(aliasOf(first), as)).answer).toMatchObject({ issuer_id: first });
    for (const alias of [aliasOf(others[0] ?? ''), undefined]) {
      await expect(call(alias, as), alias).rejects.toMatchObject({ name: 'AccessDeniedException' });
    }
  });
});

/** The caller's policy of docs/many-issuers.md, and no other. */
async function createCaller(Resource: string) {
  const iam = new IAMClient(fleet.place);
  const [UserName, PolicyName] = ['caller', 'caller'];
  const Statement = [{ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource }];
  const { Policy } = await iam.send(
    new CreatePolicyCommand({ PolicyName, PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  );
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn: Policy?.Arn }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}
