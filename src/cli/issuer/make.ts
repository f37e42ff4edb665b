import { itemOf } from '../../fleet/dynamodb-index.ts';
import { fingerprintOf } from '../../fleet/issuer.ts';
import { aliasOf } from '../../fleet/lookup.ts';
import { awsFailure } from '../../shared/aws-failure.ts';
import { asCliFailure, CliFailure, failure } from '../frame/cli-failure.ts';
import type { Fleet } from './fleet.ts';
import type { Part, Plan } from './plan.ts';
import { KEY_TAG } from './resources.ts';
import { keyAliasOf } from './wanted.ts';

/** Does what is planned for one issuer; what was done before a failure is found again by the next run. @throws CliFailure */
export async function make(fleet: Fleet, plan: Plan): Promise<void> {
  for (const part of plan.makes) await makers[part](fleet, plan);
}

const makers: Readonly<Record<Part, (fleet: Fleet, plan: Plan) => Promise<void>>> = {
  async signing_key({ clients, flags, pace }, { issuerId }) {
    const kms = await clients.kms();
    await pace.key();
    const { KeyMetadata } = await kms
      .createKey({
        KeySpec: 'ECC_NIST_P256',
        KeyUsage: 'SIGN_VERIFY',
        Description: `Signs the JWT assertions of issuer ${issuerId} for Thales D1`,
        Tags: [
          { TagKey: KEY_TAG, TagValue: flags.stage },
          { TagKey: 'issuer', TagValue: issuerId },
        ],
      })
      .catch(told('kms:CreateKey'));
    // At once: by this name the next run finds the key. One that was killed in between leaves a key over, and its tag says whose.
    const [AliasName, TargetKeyId] = [keyAliasOf(flags.stage, issuerId), KeyMetadata?.KeyId];
    await kms.createAlias({ AliasName, TargetKeyId }).catch((error: unknown) => {
      const { code, what, outcome } = asCliFailure(error, 'kms:CreateAlias');
      throw new CliFailure({
        code,
        outcome,
        what: `${what} The key ${TargetKeyId} was made, and nothing finds it yet.`,
        remedy: `aws kms create-alias --alias-name ${AliasName} --target-key-id ${TargetKeyId} names it.`,
      });
    });
  },
  token_secret: (fleet, { issuerId, fields }) =>
    makeSecret(
      fleet,
      fields['token_secret_id'],
      `Thales D1 access token of issuer ${issuerId}, kept fresh by ${fleet.tokenFunction}`,
    ),
  client_certificate_secret: (fleet, { issuerId, fields }) =>
    makeSecret(
      fleet,
      fields['client_certificate_secret_id'],
      `Client certificate and private key of issuer ${issuerId} for mutual TLS with Thales D1`,
    ),
  async alias({ clients, tokenFunction, pace }, { issuerId }) {
    await pace.alias();
    await (await clients.lambda())
      .createAlias({ FunctionName: tokenFunction, Name: aliasOf(issuerId), FunctionVersion: '$LATEST' })
      .catch(told('lambda:CreateAlias'));
  },
  async index({ clients, tableName }, { issuerId, fields, before }) {
    await (await clients.dynamoDb())
      .putItem({
        TableName: tableName,
        Item: itemOf(fields),
        ...(before
          ? {
              ConditionExpression: 'fingerprint = :fingerprint',
              ExpressionAttributeValues: { ':fingerprint': { S: fingerprintOf(before) } },
            }
          : { ConditionExpression: 'attribute_not_exists(issuer_id)' }),
      })
      .catch((error: unknown) => {
        if (awsFailure(error).name !== 'ConditionalCheckFailedException') throw asCliFailure(error, 'dynamodb:PutItem');
        throw failure('ISSUER_CHANGED', `Somebody else has just changed issuer ${issuerId}.`, 'Look at what is there.');
      });
  },
};

/** Without a value. AWS's own key encrypts it. */
async function makeSecret(
  { clients, flags, pace }: Fleet,
  Name: string | undefined,
  Description: string,
): Promise<void> {
  await pace.secret();
  await (await clients.secretsManager())
    .createSecret({ Name, Description, Tags: [{ Key: KEY_TAG, Value: flags.stage }] })
    .catch(told('secretsmanager:CreateSecret'));
}

const told =
  (action: string) =>
  (error: unknown): never => {
    throw asCliFailure(error, action);
  };
