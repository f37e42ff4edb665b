/** So many issuers are looked after side by side: the paces, not the way to AWS, are what a long list waits for. */
const AT_ONCE = 8;

/** Does `work` for each, in order, some at a time. After a failure none is begun; those that were are ended first. */
export async function forEach<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  const rest = all.values();
  const one = async () => {
    for (const next of rest) {
      if (failures.length > 0) return;
      await work(next).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  if (failures.length > 0) throw failures[0];
}
