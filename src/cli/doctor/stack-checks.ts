import { openKeyParams, toldParams } from '../frame/key-params.ts';
import {
  activePlace,
  isProduction,
  keyAt,
  otherPlace,
  output,
  readFunction,
  readIdentity,
  readStack,
} from '../frame/stage.ts';
import { attention, type Found, failed, need, ok } from './found.ts';
import type { Check } from './run-checks.ts';

const DEPLOY = 'Correct infra/params.yml, and deploy: npm run deploy.';

/** Codes of what keeps Lambda from making network interfaces (Lambda API Reference, FunctionConfiguration). */
const OF_NETWORK = /Subnet|SecurityGroup|Eni|EC2/;

/** Who asks, the stack and its parameters, and the function as it is configured. */
export const stackChecks: readonly Check<Found>[] = [
  {
    id: 'credentials',
    title: 'Credentials and Region',
    needs: [],
    action: 'sts:GetCallerIdentity',
    async run(found) {
      const { account, arn, region } = await readIdentity(found.clients);
      Object.assign(found, { account, region });
      return ok({ account, caller: arn, region });
    },
  },
  {
    id: 'stack',
    title: 'The stack is there',
    needs: ['credentials'],
    action: 'cloudformation:DescribeStacks',
    async run(found) {
      found.stack = await readStack(found.clients, found.stage);
      return ok({ name: found.stack.name });
    },
  },
  {
    id: 'stack.status',
    title: 'The last deployment succeeded',
    needs: ['stack'],
    run(found) {
      const { status, name } = need(found, 'stack');
      if (status.endsWith('_IN_PROGRESS')) {
        return attention('STACK_BUSY', `The stack ${name} is being changed (${status}).`, 'Wait until it is done.');
      }
      if (!/^(CREATE|UPDATE|IMPORT)_COMPLETE$/.test(status)) {
        return failed('STACK_FAILED', `The stack ${name} is ${status}.`, 'Look at its events, and deploy again.');
      }
      return ok({ status });
    },
  },
  {
    id: 'stack.drift',
    title: 'Nobody has changed the stack by hand',
    needs: ['stack'],
    run(found) {
      const { drift } = need(found, 'stack');
      return drift === 'DRIFTED'
        ? attention(
            'STACK_DRIFTED',
            'The last drift detection found changes by hand.',
            'Compare them, and deploy again.',
          )
        : ok({ drift });
    },
  },
  {
    id: 'parameters.onboarded',
    title: 'The stage is onboarded',
    needs: ['stack'],
    run(found) {
      return need(found, 'stack').parameters.get('Onboarded') === 'true'
        ? ok()
        : attention(
            'NOT_ONBOARDED',
            'The stage has onboarded: false, so the schedule stands still and no alarm notifies.',
            'When a check passes, set onboarded: true in infra/params.yml and deploy.',
          );
    },
  },
  {
    id: 'parameters.keys',
    title: 'The active signing key has a kid of its own',
    needs: ['stack'],
    run(found) {
      const stack = need(found, 'stack');
      const [active, other] = [keyAt(stack, activePlace(stack)), keyAt(stack, otherPlace(activePlace(stack)))];
      if (!active) return failed('KEY_WITHOUT_KID', 'The active signing key has no kid.', DEPLOY);
      if (active.kid === other?.kid) {
        return failed('KID_TWICE', `Both signing keys have the kid ${active.kid}.`, DEPLOY);
      }
      return ok({ active: active.place, kid: active.kid });
    },
  },
  {
    id: 'parameters.topics',
    title: 'The alarms have topics',
    needs: ['stack'],
    run(found) {
      const { parameters } = need(found, 'stack');
      const silent = ['CriticalTopicArn', 'WarningTopicArn'].filter(
        (name) => (parameters.get(name) ?? 'none') === 'none',
      );
      if (silent.length === 0 || parameters.get('Onboarded') !== 'true') return ok();
      return failed('NO_TOPIC', `${silent.join(' and ')} is none: alarms reach nobody.`, DEPLOY);
    },
  },
  {
    id: 'consumers.policies',
    title: 'Consumers have policies to attach',
    needs: ['stack'],
    run(found) {
      const stack = need(found, 'stack');
      return ok({ reader: output(stack, 'TokenReaderPolicyArn'), invoker: output(stack, 'TokenInvokerPolicyArn') });
    },
  },
  {
    id: 'function',
    title: 'The function is there',
    needs: ['stack'],
    action: 'lambda:GetFunctionConfiguration',
    async run(found) {
      found.configuration = await readFunction(found.clients, need(found, 'stack'));
      const { name, role } = found.configuration;
      return ok({ name, role });
    },
  },
  {
    id: 'function.state',
    title: 'The function can be invoked',
    needs: ['function'],
    run(found) {
      const { state, lastUpdate, reason, name } = need(found, 'configuration');
      if (state === 'Active' && lastUpdate === 'Successful') return ok({ state });
      if (state === 'Pending' || lastUpdate === 'InProgress') {
        return attention('FUNCTION_BUSY', `The function ${name} is being updated.`, 'Wait until it is done.');
      }
      return failed(
        'FUNCTION_INACTIVE',
        `The function ${name} is ${state}, its update ${lastUpdate}${reason === undefined ? '' : ` (${reason})`}.`,
        OF_NETWORK.test(reason ?? '')
          ? 'Look at subnetIds and securityGroupIds: are they there, with addresses to spare? Then deploy again.'
          : 'Deploy again.',
      );
    },
  },
  {
    id: 'function.environment',
    title: 'The function is configured as the stack says',
    needs: ['function'],
    run(found) {
      const { environment } = need(found, 'configuration');
      const stack = need(found, 'stack');
      const other = keyAt(stack, otherPlace(activePlace(stack)));
      const wanted = {
        D1_KEY_ID: output(stack, 'SigningKeyId'),
        D1_SIGNING_KEY_ID: output(stack, 'SigningKeyArn'),
        D1_TOKEN_SECRET_ID: output(stack, 'TokenSecretArn'),
        D1_CLIENT_CERTIFICATE_SECRET_ID: output(stack, 'ClientCertificateSecretArn'),
        D1_STAGE: found.stage,
        D1_NEXT_KEY_ID: other?.kid ?? '',
        D1_NEXT_SIGNING_KEY_ID: other?.arn ?? '',
      };
      const wrong = Object.entries(wanted).filter(
        // An ARN, or the name in it: what names the same secret is no change.
        ([name, value]) => (environment[name] ?? '') !== value && !value.includes(`:secret:${environment[name]}-`),
      );
      if (wrong.length > 0) {
        const names = wrong.map(([name]) => name).join(', ');
        return failed(
          'CONFIG_CHANGED',
          `${names} of the function is not what the stack says: somebody has changed it by hand.`,
          'Deploy again, and find out who did it (CloudTrail, UpdateFunctionConfiguration).',
        );
      }
      const missing = ['D1_ISSUER_ID', 'D1_ENVIRONMENT'].filter((name) => !environment[name]);
      if (missing.length > 0) return failed('CONFIG_INVALID', `${missing.join(', ')} is missing.`, DEPLOY);
      const { D1_ISSUER_ID: issuer = '', D1_ENVIRONMENT: d1 = '' } = environment;
      return ok({ issuer, environment: d1, production: isProduction({ environment }) });
    },
  },
  {
    id: 'parameters.file',
    title: 'infra/params.yml here has the same signing keys as the stack',
    needs: ['function'],
    async run(found) {
      const { parameters } = need(found, 'stack');
      const params = await openKeyParams(
        { stage: found.stage },
        need(found, 'configuration').environment['D1_ISSUER_ID'],
      );
      const differs = params.compare(parameters);
      // Outside a checkout there is nothing to compare.
      if (differs.kind !== 'differs') return ok({ compared: differs.kind === 'same' });
      const [remedy = ''] = toldParams(params, differs, parameters, 'looked').next;
      return attention(
        'PARAMETERS_DIFFER',
        `${params.file} has other signing keys than the stack.`,
        `Before anything is deployed: ${remedy}`,
      );
    },
  },
];
