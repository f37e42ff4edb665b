/**
 * Waits for a moment of `performance.now()`. A timer is up to a millisecond late, which would be blamed on whoever waits
 * for it; so the end of the wait is polled.
 */
export async function until(moment: number): Promise<void> {
  const rest = moment - performance.now();
  if (rest > 1.5) await new Promise((resolve) => setTimeout(resolve, rest - 1.5));
  while (performance.now() < moment) await new Promise((resolve) => setImmediate(resolve));
}
