import {
  CreateAliasCommand,
  DeleteAliasCommand,
  GetAliasCommand,
  InvokeCommand,
  LambdaClient,
  ListAliasesCommand,
} from '@aws-sdk/client-lambda';
import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';

it('An alias is made once, tells the function that it was invoked, and is deleted', async () => {
  const invoked: string[] = [];
  const sandbox = await startSandbox({
    tokenFunction: async (_event, arn) => {
      invoked.push(arn);
    },
  });
  onTestFinished(() => sandbox.close());
  const client = new LambdaClient({
    endpoint: sandbox.environment['AWS_ENDPOINT_URL'] ?? '',
    region: 'eu-west-1',
    credentials: { accessKeyId: 'sandbox', secretAccessKey: 'sandbox' },
    maxAttempts: 1,
  });
  const FunctionName = sandbox.deployment.fleet?.outputs['TokenFunctionName'] ?? '';
  const arn = `arn:aws:lambda:eu-west-1:000000000000:function:${FunctionName}`;
  const Name = 'issuer-0001';
  const create = new CreateAliasCommand({ FunctionName, Name, FunctionVersion: '$LATEST' });
  const get = new GetAliasCommand({ FunctionName, Name });
  const invoke = () => client.send(new InvokeCommand({ FunctionName: `${FunctionName}:${Name}` }));

  await expect(client.send(get)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  await expect(invoke()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  expect(await client.send(create)).toMatchObject({ AliasArn: `${arn}:${Name}`, FunctionVersion: '$LATEST' });
  await expect(client.send(create)).rejects.toMatchObject({ name: 'ResourceConflictException' });
  expect(await client.send(get)).toMatchObject({ Name });
  expect((await client.send(new ListAliasesCommand({ FunctionName }))).Aliases).toHaveLength(1);
  await invoke();
  await client.send(new InvokeCommand({ FunctionName, Qualifier: Name }));
  await client.send(new InvokeCommand({ FunctionName }));
  expect(invoked).toEqual([`${arn}:${Name}`, `${arn}:${Name}`, arn]);

  await client.send(new DeleteAliasCommand({ FunctionName, Name }));
  await expect(invoke()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  const digits = new CreateAliasCommand({ FunctionName, Name: '1001', FunctionVersion: '$LATEST' });
  await expect(client.send(digits)).rejects.toMatchObject({ name: 'InvalidParameterValueException' });
});
