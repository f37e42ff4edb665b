import { styleText } from 'node:util';

/** styleText leaves colours out where the stream is no terminal, and where NO_COLOR is set. */
const style = (format: Parameters<typeof styleText>[0], text: string) =>
  styleText(format, text, { stream: process.stdout });

/** Says what happens, for a person. */
export const narrator = {
  title: (text: string) => console.log(`\n${style('bold', text)}`),
  line: (text: string) => console.log(`  ${text}`),
  fact: (name: string, value: string) => console.log(`  ${style('dim', name.padEnd(22))}${value}`),
  proved: (text: string) => console.log(`  ${style('green', '✓')} ${text}`),
  failed: (text: string) => console.error(`  ${style('red', '✗')} ${text}`),
};

/** A step of the story did not do what it says. */
export class StoryBroken extends Error {}

/** Says a thing that was checked, or ends the story. */
export function prove(condition: boolean, claim: string): void {
  if (!condition) throw new StoryBroken(`This should be true, and is not: ${claim}`);
  narrator.proved(claim);
}

/** Enough of a token to tell two apart, and too little to use one. */
export const shortened = (token: string) => `…${token.slice(-6)} (${token.length} characters)`;

const kinds = { oauth2: 'token request', Sign: 'Sign' } as Record<string, string>;

/** "1 GetSecretValue, 1 Sign": what a step cost. */
export function costs(calls: readonly { operation: string }[]): string {
  const counts = new Map<string, number>();
  for (const { operation } of calls) {
    const name = kinds[operation.split('/')[0] ?? ''] ?? operation;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts.size === 0 ? 'no calls' : [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}
