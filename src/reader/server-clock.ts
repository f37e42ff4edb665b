import type { Clock } from '../shared/clock.ts';

/**
 * The time that `expires_at` is counted in. It is this machine's own until an answer proves that one wrong: Secrets Manager
 * dates its answers (RFC 9110, section 6.6.1), and the broker's say both when a token expires and how long that is from
 * now. A consumer whose clock is minutes off so judges tokens as the broker does.
 */
export class ServerClock {
  readonly #clock: Pick<Clock, 'now'>;
  /** Milliseconds to add to this machine's clock. */
  #offset = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** Milliseconds since 1970 UTC. */
  now(): number {
    return this.#clock.now() + this.#offset;
  }

  /**
   * A server that was asked between `sentAt` and `receivedAt`, on this machine's clock, said what time it is. The offset
   * moves no further than that proves: a right clock stays as it is, however slow the answer was.
   *
   * @param milliseconds Since 1970 UTC, cut to whole seconds, as both servers tell the time.
   */
  observe(milliseconds: number, sentAt: number, receivedAt: number): void {
    if (!Number.isFinite(milliseconds)) return;
    const least = milliseconds - receivedAt;
    const most = milliseconds + 999 - sentAt;
    // A clock that was set while the answer was under way proves nothing.
    if (least <= most) this.#offset = Math.min(Math.max(this.#offset, least), most);
  }

  /** Something that has happened is not in the future: a token began to live at `milliseconds`. */
  notBefore(milliseconds: number): void {
    this.#offset = Math.max(this.#offset, milliseconds - this.#clock.now());
  }
}
