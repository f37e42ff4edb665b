import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeSecretCommand, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Deployment, deploy } from '../support/deployment.ts';

// The primary's half of a second Region, on MiniStack. It does not know AWS::KMS::ReplicaKey, so the standby's stack is
// packaged and linted (template.deploy.ts), and its function is tested on the sandbox (test/broker/standby.test.ts).

const SECOND_REGION = 'eu-central-1';
let bank: Deployment;

beforeAll(async () => {
  bank = await deploy();
});

afterAll(async () => {
  await bank?.close();
});

test('both secrets have a replica in the second Region, under its key and the same ARN but for the Region', async () => {
  const there = { ...bank.place, region: SECOND_REGION };
  const { KeyMetadata } = await new KMSClient(there).send(new CreateKeyCommand({}));
  await bank.invoke(bank.output('FunctionName'), { action: 'refresh' });
  await bank.redeploy('replicated', { replicaRegions: KeyMetadata?.Arn ?? '' });
  for (const output of ['TokenSecretArn', 'ClientCertificateSecretArn']) {
    const SecretId = bank.output(output);
    const { ReplicationStatus } = await bank.secretsManager.send(new DescribeSecretCommand({ SecretId }));
    expect(ReplicationStatus).toMatchObject([{ Region: SECOND_REGION, KmsKeyId: KeyMetadata?.Arn }]);
    const replica = SecretId.replace(bank.place.region, SECOND_REGION);
    const [here, copy] = await Promise.all([
      bank.secretsManager.send(new GetSecretValueCommand({ SecretId })),
      new SecretsManagerClient(there).send(new GetSecretValueCommand({ SecretId: replica })),
    ]);
    expect(copy.SecretString === here.SecretString).toBe(true);
  }
});
