export type Moment = 'before it is done' | 'after it was done';

interface Held {
  readonly call: string;
  readonly moment: Moment;
  /** Calls of this name to let pass before. */
  toPass: number;
  readonly reached: PromiseWithResolvers<void>;
  readonly released: PromiseWithResolvers<void>;
}

/** Stops one call on its way, so that the process that waits for the answer can be killed at that very moment. */
export class Checkpoint {
  #held: Held | undefined;

  /** @returns Resolves when the call is there. */
  hold(call: string, moment: Moment, nth = 1): Promise<void> {
    const held: Held = {
      call,
      moment,
      toPass: nth - 1,
      reached: Promise.withResolvers(),
      released: Promise.withResolvers(),
    };
    this.#held = held;
    return held.reached.promise;
  }

  release(): void {
    this.#held?.released.resolve();
    this.#held = undefined;
  }

  /** An intercept's work: a held call is never answered. */
  async pass<T>(call: string, next: () => Promise<T>): Promise<T | undefined> {
    const held = this.#held;
    if (held?.call !== call) return next();
    if (held.toPass > 0) {
      held.toPass -= 1;
      return next();
    }
    if (held.moment === 'after it was done') await next();
    held.reached.resolve();
    await held.released.promise;
    return undefined;
  }
}
