import { type Container, InvocationFailed } from './container.ts';

type Member = Pick<Container, 'invoke' | 'kill'>;

export interface Fleet {
  /** As `Container.invoke`. */
  invoke(event: unknown): Promise<unknown>;
  /** Events that are under way fail. */
  kill(): Promise<void>;
}

/**
 * The containers of one function: an event goes to one that is idle, or to a new one, and has it alone ("Understanding
 * Lambda function scaling", Lambda Developer Guide).
 *
 * @param start Makes a container.
 */
export function createFleet(start: () => Promise<Member>): Fleet {
  const members: Member[] = [];
  const idle: Member[] = [];
  const another = async () => {
    const member = await start();
    members.push(member);
    return member;
  };
  return {
    async invoke(event) {
      // The one that was used last is the warmest.
      const container = idle.pop() ?? (await another());
      try {
        const answer = await container.invoke(event);
        idle.push(container);
        return answer;
      } catch (error) {
        // Any other error says that the process has ended.
        if (error instanceof InvocationFailed) idle.push(container);
        throw error;
      }
    },
    async kill() {
      await Promise.all(members.map((member) => member.kill()));
    },
  };
}
