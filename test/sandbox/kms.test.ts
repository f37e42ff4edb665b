import { createHash, createPublicKey, verify, webcrypto } from 'node:crypto';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListAliasesCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import * as fc from 'fast-check';
import { importSPKI, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Kms } from '../../sandbox/aws/kms.ts';
import { SecretsManager } from '../../sandbox/aws/secrets-manager.ts';
import { startAwsServer } from '../../sandbox/aws/server.ts';
import { CallLog } from '../../sandbox/calls.ts';

const day = 24 * 60 * 60 * 1000;
const clock = { time: 0, now: () => clock.time };
let server: Awaited<ReturnType<typeof startAwsServer>>;
let kms: KMSClient;

beforeEach(async () => {
  clock.time = Date.UTC(2026, 0, 15);
  const account = { region: 'eu-central-1', accountId: '111122223333', clock };
  server = await startAwsServer({
    kms: new Kms(account),
    secretsManager: new SecretsManager(account),
    calls: new CallLog(),
    clock,
  });
  kms = new KMSClient({
    endpoint: server.url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
  });
});

afterEach(async () => {
  kms.destroy();
  await server.close();
});

async function createKey(input: CreateKeyCommandInput = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }) {
  const { KeyMetadata } = await kms.send(new CreateKeyCommand(input));
  return { id: String(KeyMetadata?.KeyId), arn: String(KeyMetadata?.Arn) };
}

const sha256 = (message: string | Uint8Array) => createHash('sha256').update(message).digest();
const signDigest = (KeyId: string, Message: Uint8Array = sha256('a message')) =>
  kms.send(new SignCommand({ KeyId, Message, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_256' }));

const publicKeyOf = async (KeyId: string) => {
  const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId }));
  return createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
};

/** r and s, 32 bytes each: the form that JWS and WebCrypto take. Written for this test, from X.690 section 8. */
function rawSignature(der: Uint8Array): Buffer {
  const bytes = Buffer.from(der);
  expect(bytes.subarray(0, 1).toString('hex')).toBe('30');
  expect(bytes.readUInt8(1)).toBe(bytes.length - 2);
  const rLength = bytes.readUInt8(3);
  const r = bytes.subarray(4, 4 + rLength);
  const s = bytes.subarray(6 + rLength);
  expect(bytes.readUInt8(5 + rLength)).toBe(s.length);
  const fixed = (integer: Buffer) => Buffer.concat([Buffer.alloc(32), integer]).subarray(-32);
  return Buffer.concat([fixed(r), fixed(s)]);
}

describe('A signature by a P-256 key', () => {
  it('verifies with WebCrypto under the public key of GetPublicKey', async () => {
    const { id, arn } = await createKey();
    const answer = await signDigest(id, sha256('a message'));
    expect(answer).toMatchObject({ KeyId: arn, SigningAlgorithm: 'ECDSA_SHA_256' });
    const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: id }));
    const curve = { name: 'ECDSA', namedCurve: 'P-256' };
    const key = await webcrypto.subtle.importKey('spki', Buffer.from(PublicKey ?? []), curve, false, ['verify']);
    const signature = rawSignature(answer.Signature ?? new Uint8Array());
    const verifies = (message: string) =>
      webcrypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, Buffer.from(message));
    expect(await verifies('a message')).toBe(true);
    expect(await verifies('another message')).toBe(false);
  });

  it('makes a JWT that jose accepts: the digest is signed as it is, not hashed again', async () => {
    const { id } = await createKey();
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const signingInput = `${encode({ alg: 'ES256' })}.${encode({ iss: 'issuer' })}`;
    const { Signature } = await signDigest(id, sha256(signingInput));
    const jwt = `${signingInput}.${rawSignature(Signature ?? new Uint8Array()).toString('base64url')}`;
    const pem = (await publicKeyOf(id)).export({ type: 'spki', format: 'pem' });
    const { payload } = await jwtVerify(jwt, await importSPKI(String(pem), 'ES256'));
    expect(payload.iss).toBe('issuer');
  });

  it('of a RAW message is over its SHA-256, for any message from 1 to 4,096 bytes', async () => {
    const { id } = await createKey();
    const key = await webcrypto.subtle.importKey(
      'spki',
      (await publicKeyOf(id)).export({ type: 'spki', format: 'der' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      false,
      ['verify'],
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 4096 }), async (Message) => {
        const command = new SignCommand({ KeyId: id, Message, SigningAlgorithm: 'ECDSA_SHA_256' });
        const signature = rawSignature((await kms.send(command)).Signature ?? new Uint8Array());
        const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
        expect(await webcrypto.subtle.verify(algorithm, key, signature, Buffer.from(Message))).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('differs each time, has low and high s, and integers of every usual length', async () => {
    const { id } = await createKey();
    const signatures = await Promise.all(
      Array.from({ length: 64 }, async () => Buffer.from((await signDigest(id)).Signature ?? [])),
    );
    expect(new Set(signatures.map((signature) => signature.toString('hex'))).size).toBe(64);
    const halfOrder = Buffer.from('7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8', 'hex');
    const isHigh = signatures.map((der) => rawSignature(der).subarray(32).compare(halfOrder) > 0);
    expect(new Set(isHigh)).toEqual(new Set([true, false]));
    expect(new Set(signatures.map((signature) => signature.length)).size).toBeGreaterThan(1);
  });
});

describe('Sign refuses', () => {
  it.each([0, 31, 33, 64])('a digest of %i bytes', async (length) => {
    const { id } = await createKey();
    await expect(signDigest(id, Buffer.alloc(length))).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it.each([0, 4097])('a RAW message of %i bytes', async (length) => {
    const { id } = await createKey();
    const command = new SignCommand({
      KeyId: id,
      Message: Buffer.alloc(length),
      MessageType: 'RAW',
      SigningAlgorithm: 'ECDSA_SHA_256',
    });
    await expect(kms.send(command)).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it.each([
    { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
    { KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' },
  ] as const)('ES256 with a $KeySpec key, whose spec has other algorithms', async (input) => {
    const { id } = await createKey(input);
    await expect(signDigest(id)).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: `Algorithm ECDSA_SHA_256 is incompatible with key spec ${input.KeySpec}.`,
    });
  });

  it.each([
    { KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' },
    { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' },
    { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
  ] as const)('a $KeySpec key that is for $KeyUsage', async (input) => {
    const { id, arn } = await createKey(input);
    await expect(signDigest(id)).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
      message: `${arn} key usage is ${input.KeyUsage} which is not valid for Sign.`,
    });
  });

  it('a missing or unknown algorithm, and a message type of another kind of key', async () => {
    const { id } = await createKey();
    const sign = (fields: object) => kms.send(new SignCommand({ KeyId: id, Message: sha256('m'), ...fields } as never));
    await expect(sign({})).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(sign({ SigningAlgorithm: 'ES256' })).rejects.toMatchObject({ name: 'ValidationException' });
    await expect(sign({ SigningAlgorithm: 'ECDSA_SHA_256', MessageType: 'EXTERNAL_MU' })).rejects.toMatchObject({
      name: 'ValidationException',
    });
  });
});

it('A P-384 key signs with its own algorithm, under its own digest length', async () => {
  const { id } = await createKey({ KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' });
  const sign = (Message: Uint8Array) =>
    kms.send(new SignCommand({ KeyId: id, Message, MessageType: 'DIGEST', SigningAlgorithm: 'ECDSA_SHA_384' }));
  const message = Buffer.from('a message');
  const { Signature } = await sign(createHash('sha384').update(message).digest());
  expect(verify('sha384', message, await publicKeyOf(id), Buffer.from(Signature ?? []))).toBe(true);
  await expect(sign(sha256(message))).rejects.toMatchObject({ name: 'ValidationException' });
});

describe('A key is found', () => {
  it('by id, key ARN, alias name and alias ARN', async () => {
    const { id, arn } = await createKey();
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/d1/signing', TargetKeyId: arn }));
    const aliasArn = arn.replace(`key/${id}`, 'alias/d1/signing');
    for (const KeyId of [id, arn, 'alias/d1/signing', aliasArn]) {
      expect(await signDigest(KeyId)).toMatchObject({ KeyId: arn });
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      expect(KeyMetadata).toMatchObject({ KeyId: id, Arn: arn, KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    }
  });

  it('by nothing else: an unknown id, a name without "alias/", an ARN of another Region or account', async () => {
    const { id, arn } = await createKey();
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: id }));
    const references = [
      '00000000-0000-4000-8000-000000000000',
      'signing',
      'alias/other',
      arn.replace('key/', ''),
      arn.replace('eu-central-1', 'eu-west-1'),
      arn.replace('111122223333', '444455556666'),
    ];
    for (const KeyId of references) {
      await expect(signDigest(KeyId)).rejects.toMatchObject({ name: 'NotFoundException' });
    }
  });

  it('by its alias only in operations that use a key, not in those that manage it', async () => {
    const { id } = await createKey();
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: id }));
    const disable = kms.send(new DisableKeyCommand({ KeyId: 'alias/signing' }));
    await expect(disable).rejects.toMatchObject({ name: 'NotFoundException' });
  });
});

describe('The life of a key', () => {
  it('a disabled key neither signs nor shows its public key; enabled again, it does', async () => {
    const { id, arn } = await createKey();
    await kms.send(new DisableKeyCommand({ KeyId: id }));
    const disabled = { name: 'DisabledException', message: `${arn} is disabled.` };
    await expect(signDigest(id)).rejects.toMatchObject(disabled);
    await expect(publicKeyOf(id)).rejects.toMatchObject(disabled);
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: id }));
    expect(KeyMetadata).toMatchObject({ KeyState: 'Disabled', Enabled: false });
    await kms.send(new EnableKeyCommand({ KeyId: id }));
    await expect(signDigest(id)).resolves.toMatchObject({ KeyId: arn });
  });

  it('a key that waits for its deletion can be described only, and then is gone', async () => {
    const { id, arn } = await createKey();
    const answer = await kms.send(new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays: 7 }));
    expect(answer).toMatchObject({ KeyId: arn, KeyState: 'PendingDeletion' });
    expect(answer.DeletionDate).toEqual(new Date(clock.time + 7 * day));
    const invalidState = { name: 'KMSInvalidStateException', message: `${arn} is pending deletion.` };
    await expect(signDigest(id)).rejects.toMatchObject(invalidState);
    await expect(kms.send(new EnableKeyCommand({ KeyId: id }))).rejects.toMatchObject(invalidState);
    const alias = new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: id });
    await expect(kms.send(alias)).rejects.toMatchObject(invalidState);
    await expect(kms.send(new ScheduleKeyDeletionCommand({ KeyId: id }))).rejects.toMatchObject(invalidState);
    clock.time += 7 * day - 1;
    await expect(kms.send(new DescribeKeyCommand({ KeyId: id }))).resolves.toBeDefined();
    clock.time += 1;
    await expect(signDigest(id)).rejects.toMatchObject({ name: 'NotFoundException' });
  });

  it.each([6, 31])('a deletion in %i days is refused', async (PendingWindowInDays) => {
    const { id } = await createKey();
    const command = new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays });
    await expect(kms.send(command)).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('CreateKey refuses a signing key without a usage, and a usage that its spec has not', async () => {
    const asymmetric = createKey({ KeySpec: 'ECC_NIST_P256' });
    await expect(asymmetric).rejects.toMatchObject({ name: 'ValidationException' });
    const impossible = createKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'ENCRYPT_DECRYPT' });
    await expect(impossible).rejects.toMatchObject({ name: 'ValidationException' });
    const { id } = await createKey({});
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: id }));
    expect(KeyMetadata).toMatchObject({ KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' });
  });

  it('a symmetric key has no public key', async () => {
    const { id } = await createKey({});
    await expect(publicKeyOf(id)).rejects.toMatchObject({ name: 'UnsupportedOperationException' });
  });
});

describe('An alias', () => {
  it('moves to another key of the same kind, as when the signing key is replaced', async () => {
    const [first, second] = [await createKey(), await createKey()];
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: first.id }));
    await kms.send(new UpdateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: second.id }));
    expect(await signDigest('alias/signing')).toMatchObject({ KeyId: second.arn });
    const { Aliases } = await kms.send(new ListAliasesCommand({ KeyId: second.id }));
    expect(Aliases).toMatchObject([{ AliasName: 'alias/signing', TargetKeyId: second.id }]);
    expect((await kms.send(new ListAliasesCommand({ KeyId: first.id }))).Aliases).toEqual([]);
  });

  it('does not move to a key of another kind', async () => {
    const [signing, symmetric] = [await createKey(), await createKey({})];
    await kms.send(new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: signing.id }));
    const update = new UpdateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: symmetric.id });
    await expect(kms.send(update)).rejects.toMatchObject({ name: 'ValidationException' });
  });

  it('is unique, and is gone once deleted', async () => {
    const { id } = await createKey();
    const create = () => kms.send(new CreateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: id }));
    const remove = () => kms.send(new DeleteAliasCommand({ AliasName: 'alias/signing' }));
    await create();
    await expect(create()).rejects.toMatchObject({ name: 'AlreadyExistsException' });
    await remove();
    await expect(signDigest('alias/signing')).rejects.toMatchObject({ name: 'NotFoundException' });
    await expect(remove()).rejects.toMatchObject({ name: 'NotFoundException' });
    const update = new UpdateAliasCommand({ AliasName: 'alias/signing', TargetKeyId: id });
    await expect(kms.send(update)).rejects.toMatchObject({ name: 'NotFoundException' });
  });

  it.each(['signing', 'alias/aws/signing', 'alias/sign ing', 'alias/'])('can not be called "%s"', async (AliasName) => {
    const { id } = await createKey();
    const create = new CreateAliasCommand({ AliasName, TargetKeyId: id });
    await expect(kms.send(create)).rejects.toMatchObject({ name: 'ValidationException' });
  });
});
