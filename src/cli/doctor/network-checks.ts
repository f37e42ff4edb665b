import type { CheckStep, CheckStepName } from '../../shared/check-report.ts';
import { goesAround, proxyVariables } from '../../shared/proxy-variables.ts';
import { CliFailure } from '../frame/cli-failure.ts';
import { type FunctionConfiguration, output, readFunction, type Stack } from '../frame/stage.ts';
import { attention, type Found, failed, need, ok, stepFacts } from './found.ts';
import type { Check, Finding } from './run-checks.ts';

const PAGE = 'docs/landing-zone.md, "Network"';
/** As the function's errors name what did not answer, or has no address: nobody was there to refuse anything. */
const NO_WAY =
  /TimeoutError|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|took too long|could not be connected to/;

/** The parameters that lay the functions' network, each with what it is in a stack and in a function. */
const settings: readonly {
  readonly parameter: string;
  readonly where: string;
  readonly wanted: (stack: Stack) => string;
  readonly is: (configuration: FunctionConfiguration) => string;
}[] = [
  {
    parameter: 'subnetIds',
    where: 'VpcConfig',
    wanted: ({ parameters }) => sorted(parameters.get('SubnetIds')?.split(',')),
    is: ({ subnets }) => sorted(subnets),
  },
  {
    parameter: 'securityGroupIds',
    where: 'VpcConfig',
    wanted: ({ parameters }) => sorted(parameters.get('SecurityGroupIds')?.split(',')),
    is: ({ securityGroups }) => sorted(securityGroups),
  },
  {
    parameter: 'egressProxy',
    where: 'HTTPS_PROXY',
    wanted: ({ parameters }) => (parameters.get('EgressProxy') ?? 'none').replace(/^none$/, ''),
    // Credentials for the way to AWS can be nowhere but in the function.
    is: ({ environment }) => (environment[proxyVariables(environment).proxy ?? ''] ?? '').replace(/\/\/[^/]*@/, '//'),
  },
  {
    parameter: 'noProxy',
    where: 'NO_PROXY',
    wanted: ({ parameters }) => parameters.get('NoProxy') ?? '',
    is: ({ environment }) => proxyVariables(environment).noProxy,
  },
  {
    parameter: 'fips',
    where: 'AWS_USE_FIPS_ENDPOINT',
    wanted: ({ parameters }) => (parameters.get('Fips') === 'true' ? 'true' : ''),
    is: ({ environment }) => environment['AWS_USE_FIPS_ENDPOINT'] ?? '',
  },
];

const sorted = (names: readonly string[] = []) => names.toSorted().join(',');

/** Whether the functions have the network that the parameters say. */
export const networkOfFunctions: readonly Check<Found>[] = [
  {
    id: 'network.settings',
    title: 'The functions have the network that the stack says',
    needs: ['function'],
    action: 'lambda:GetFunctionConfiguration',
    wanted: ({ stack, configuration }) =>
      stack !== undefined &&
      configuration !== undefined &&
      // A stack of before has none of these parameters.
      stack.parameters.has('EgressProxy') &&
      settings.some(({ wanted, is }) => wanted(stack) !== '' || is(configuration) !== ''),
    async run(found) {
      const stack = need(found, 'stack');
      const callers = need(found, 'configuration');
      const functions =
        output(stack, 'TicksFunctionName') === callers.name
          ? [callers]
          : [callers, await readFunction(found.clients, stack, 'TicksFunctionName')];
      for (const configuration of functions) {
        const wrong = settings.filter(({ wanted, is }) => wanted(stack) !== is(configuration));
        if (wrong.length === 0) continue;
        const named = wrong.map(({ parameter, where }) => `${parameter} (${where})`).join(', ');
        return failed(
          'NETWORK_CHANGED',
          `The function ${configuration.name} has not what the stack says of ${named}.`,
          'Deploy again, and find out who changed it (CloudTrail, UpdateFunctionConfiguration).',
        );
      }
      return ok(Object.fromEntries(settings.map(({ parameter, wanted }) => [parameter, wanted(stack)])));
    },
  },
];

/** The way from the function to AWS, as its check has found it. */
export const networkOfAws: readonly Check<Found>[] = [
  {
    id: 'network.aws',
    title: "The function's network leads to KMS and Secrets Manager",
    needs: ['check'],
    wanted: ({ configuration }) => isInSubnets(configuration) || hasProxy(configuration),
    run(found) {
      const kms = [stepOf(found, 'signing_key')];
      const secretsManager = [stepOf(found, 'token_secret'), stepOf(found, 'client_certificate')];
      const stopped = [...secretsManager, ...kms].map(stoppedByProxy).find((one) => one !== undefined);
      if (stopped) return byProxy(stopped, 'Calls to AWS go through egressProxy unless noProxy has .amazonaws.com.');
      const configuration = need(found, 'configuration');
      const suffix = configuration.environment['AWS_USE_FIPS_ENDPOINT'] === 'true' ? '-fips' : '';
      const missing = [
        // One secret that hangs is no missing route.
        ...(secretsManager.every(hasNoWay) ? [`secretsmanager${suffix}`] : []),
        ...(kms.every(hasNoWay) ? [`kms${suffix}`] : []),
      ];
      if (missing.length === 0) return ok({ subnets: configuration.subnets.length });
      const names = missing.join(' and ');
      return failed(
        'NO_ROUTE_TO_AWS',
        `The function does not reach ${names}: no VPC endpoint and no route leads there.`,
        `Make the interface endpoint ${names}, with private DNS, and let securityGroupIds reach it at 443; or give subnetIds a way out (NAT, egressProxy): ${PAGE}.`,
      );
    },
  },
  {
    id: 'proxy.aws',
    title: 'Calls to AWS take one way',
    needs: ['function'],
    wanted: ({ configuration }) => hasProxy(configuration),
    run(found) {
      const { region = '' } = found;
      const { environment } = need(found, 'configuration');
      const isAround = goesAround(proxyVariables(environment).noProxy);
      const suffix = environment['AWS_USE_FIPS_ENDPOINT'] === 'true' ? '-fips' : '';
      const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
      const hosts = ['kms', 'secretsmanager'].map((service) => `${service}${suffix}.${region}.${domain}`);
      const [through, around] = [true, false].map((is) => hosts.filter((host) => isAround(host, 443) !== is));
      if (through?.length === 1) {
        return attention(
          'PROXY_SPLIT',
          `Calls to ${through.join()} go through the egress proxy, and those to ${around?.join()} around it.`,
          'With VPC endpoints noProxy has .amazonaws.com; without them it has neither.',
        );
      }
      return ok({ through_proxy: through?.length === 2 });
    },
  },
];

/** The way from the function to D1, as its check has found it. */
export const networkOfD1: readonly Check<Found>[] = [
  {
    id: 'proxy',
    title: 'The egress proxy leads to D1',
    needs: ['check.client_certificate'],
    wanted: ({ configuration }) => hasProxy(configuration),
    run(found) {
      const step = stepOf(found, 'connection');
      const { proxy } = stepFacts(found, 'connection');
      if (proxy === undefined) {
        return (step?.outcome === 'failed' ? failed : attention)(
          'PROXY_BYPASSED',
          `The function goes to D1 without the egress proxy${step?.outcome === 'failed' ? `, and does not get there. ${step.what}` : '.'}`,
          "Take D1's host out of noProxy in infra/params.yml, and deploy.",
        );
      }
      const stopped = stoppedByProxy(step);
      if (stopped) return byProxy(stopped, 'Its address is egressProxy in infra/params.yml.');
      if (step?.outcome === 'failed' && step.what.includes('is not trusted through the egress proxy')) {
        return failed('PROXY_INSPECTS', step.what, step.remedy);
      }
      return ok({ proxy });
    },
  },
  {
    id: 'network.d1',
    title: "The function's subnets lead to D1",
    needs: ['check.client_certificate'],
    unless: ['proxy'],
    wanted: ({ configuration }) => isInSubnets(configuration),
    run(found) {
      const step = stepOf(found, 'connection');
      const isProxied = stepFacts(found, 'connection')['proxy'] !== undefined;
      if (
        isProxied ||
        step?.outcome !== 'failed' ||
        !(hasNoWay(step) || /could not be found|cannot be reached/.test(step.what))
      )
        return ok();
      return failed(
        'NO_ROUTE_TO_D1',
        `The function is in subnets, and no route leads from them to D1. ${step.what}`,
        `D1 has no VPC endpoint: give subnetIds a NAT gateway, or set egressProxy; let securityGroupIds out at 443: ${PAGE}.`,
      );
    },
  },
];

/** A check that was cut off is explained by the network where the function is in one of the bank's. */
export function inSubnets(configuration: FunctionConfiguration, error: unknown): unknown {
  const isCutOff =
    error instanceof CliFailure &&
    (error.code === 'DEADLINE_EXCEEDED' || (error.code === 'FUNCTION_FAILED' && error.what.includes('Timedout')));
  if (!isCutOff || !isInSubnets(configuration)) return error;
  const { code, what, outcome } = error;
  const remedy = `It is in subnets: one from which nothing can be reached ends so. Check that subnetIds and securityGroupIds lead to kms, secretsmanager and D1 (${PAGE}). Else: ${error.remedy}`;
  return new CliFailure({ code, what, remedy, outcome });
}

const isInSubnets = (configuration: FunctionConfiguration | undefined) => (configuration?.subnets.length ?? 0) > 0;

const hasProxy = (configuration: FunctionConfiguration | undefined) =>
  configuration !== undefined && proxyVariables(configuration.environment).proxy !== undefined;

const stepOf = (found: Found, name: CheckStepName) => need(found, 'report').steps.find(({ step }) => step === name);

type Failed = CheckStep & { readonly outcome: 'failed' };

const hasNoWay = (step: CheckStep | undefined) => step?.outcome === 'failed' && NO_WAY.test(step.what);

const stoppedByProxy = (step: CheckStep | undefined): Failed | undefined =>
  step?.outcome === 'failed' && step.error_code.startsWith('PROXY_') ? step : undefined;

const byProxy = ({ error_code, what, remedy }: Failed, more: string): Finding =>
  failed(error_code, what, `${remedy} ${more}`);
