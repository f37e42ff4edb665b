import { expect, it } from 'vitest';
import { InvocationFailed } from '../../sandbox/lambda/container.ts';
import { createFleet } from '../../sandbox/lambda/fleet.ts';

/** A fleet whose containers answer with their number, when the event says so. */
function openFleet() {
  const killed: number[] = [];
  let started = 0;
  const fleet = createFleet(async () => {
    started += 1;
    const number = started;
    return {
      invoke: async (event) => {
        await (event as Promise<unknown>);
        return number;
      },
      kill: async () => void killed.push(number),
    };
  });
  return { fleet, killed };
}

it('An event goes to a container that is idle, and to a new one while all are busy', async () => {
  const { fleet, killed } = openFleet();
  expect(await fleet.invoke('at once')).toBe(1);
  const gate = Promise.withResolvers<void>();
  const slow = fleet.invoke(gate.promise);
  expect(await fleet.invoke('at once')).toBe(2);
  expect(await fleet.invoke('at once')).toBe(2);
  gate.resolve();
  expect(await slow).toBe(1);
  expect(await fleet.invoke('at once')).toBe(1);
  void fleet.invoke(new Promise(() => {}));
  await fleet.kill();
  expect(killed.toSorted()).toEqual([1, 2]);
});

it('A container whose function failed is used again; one whose process has ended is not', async () => {
  const { fleet } = openFleet();
  const failed = new InvocationFailed({ errorType: 'NOT_DONE', errorMessage: 'it cannot be done', trace: [] });
  await expect(fleet.invoke(Promise.reject(failed))).rejects.toBe(failed);
  expect(await fleet.invoke('at once')).toBe(1);
  await expect(fleet.invoke(Promise.reject(new Error('The container ended')))).rejects.toThrow('ended');
  expect(await fleet.invoke('at once')).toBe(2);
});
