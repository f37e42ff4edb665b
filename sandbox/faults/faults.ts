import { type Clock, systemClock } from '../../src/shared/clock.ts';
import type { Intercept as AwsIntercept } from '../aws/server.ts';
import type { Intercept as D1Intercept } from '../d1/server.ts';
import { awsFault } from './aws-fault.ts';
import { d1Fault } from './d1-fault.ts';
import type { Fault, FaultRule } from './rule.ts';
import { createTrigger } from './trigger.ts';

/** A fault that was put in: where, what, and when on the injected clock (milliseconds since 1970 UTC). */
export interface Injected {
  readonly call: string;
  readonly fault: Fault;
  readonly at: number;
}

export interface Faults {
  readonly aws: AwsIntercept;
  readonly d1: D1Intercept;
  /** The fault of a connection to D1 that is just being made, for `startFaultyRoute`. */
  connection(): Fault | undefined;
  /** One rule more; its window (`from`, `until`) is counted from now on. */
  add(rule: FaultRule): void;
  /** Nothing is wrong any more. */
  end(): void;
  /** In order. */
  readonly injected: readonly Injected[];
}

/**
 * Rules as the intercepts of the sandbox's two servers.
 *
 * @param onInjected Told when a fault begins, so that a test can move its clock past a `hang`.
 */
export function createFaults(
  rules: readonly FaultRule[],
  { clock = systemClock, onInjected }: { clock?: Clock; onInjected?: (injected: Injected) => void } = {},
): Faults {
  let triggers = [{ trigger: createTrigger(rules), began: clock.now() }];
  const injected: Injected[] = [];
  const sleep = (milliseconds: number) => clock.sleep(milliseconds);
  const faultFor = (call: string, secretId?: unknown): Fault | undefined => {
    const at = clock.now();
    const passing = { call, secretId: typeof secretId === 'string' ? secretId : undefined };
    // All of them are asked, because each counts the calls that match its rules.
    const fault = triggers
      .map(({ trigger, began }) => trigger(passing, at - began))
      .find((found) => found !== undefined);
    if (!fault) return undefined;
    injected.push({ call, fault, at });
    onInjected?.({ call, fault, at });
    return fault;
  };
  return {
    injected,
    add: (rule) => void triggers.push({ trigger: createTrigger([rule]), began: clock.now() }),
    end: () => {
      triggers = [];
    },
    aws: (call, next, response) => {
      const fault = faultFor(`${call.service}.${call.operation}`, call.input['SecretId']);
      return fault ? awsFault(fault, call, next, response, sleep) : next();
    },
    d1: (request, next, response) => {
      const isBanking = request.path.startsWith('/banking/');
      const fault = faultFor(isBanking ? 'd1.banking/issuers' : 'd1.oauth2/token');
      return fault ? d1Fault(fault, request, next, response, sleep) : next();
    },
    connection: () => faultFor('d1.connect'),
  };
}
