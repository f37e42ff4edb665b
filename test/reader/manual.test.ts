import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPackedProject, type PackedProject, root } from './packed-project.ts';

// Every TypeScript block that a page shows is compiled as a stranger would have it, and what checks itself is run.

interface Block {
  readonly name: string;
  readonly text: string;
}

const pages = ['README.md', 'src/reader/README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

const blocks: readonly Block[] = pages
  .filter((page) => page.endsWith('.md'))
  .flatMap((page) =>
    [...readFileSync(join(root, page), 'utf8').matchAll(/^```(?:ts|typescript|js|javascript)\n([\s\S]*?)^```$/gm)].map(
      ([, text = ''], index): Block => ({ name: `${page.replaceAll(/\W/g, '-')}-${index + 1}.mts`, text }),
    ),
  );

let project: PackedProject;
beforeAll(async () => {
  project = await openPackedProject();
  for (const { name, text } of blocks) project.write(name, text);
});
afterAll(() => project?.remove());

describe('the TypeScript blocks of the pages', () => {
  it('are there', () => {
    expect(blocks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['README-md-1.mts', 'src-reader-README-md-1.mts', 'src-reader-README-md-5.mts']),
    );
  });

  it('compile, each as it stands', async () => {
    const compilerOptions = {
      ...{ moduleResolution: 'nodenext', module: 'nodenext', target: 'es2022', lib: ['es2023'], types: ['node'] },
      ...{ strict: true, noUnusedLocals: false, noEmit: true, skipLibCheck: true },
    };
    project.write('tsconfig.blocks.json', { compilerOptions, files: blocks.map(({ name }) => name) });
    const ran = await project.run('tsc', ['-p', 'tsconfig.blocks.json']);
    expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each(blocks.filter(({ text }) => text.includes('throw new Error(')))(
    'do what they check: $name',
    async ({ name }) => {
      const ran = await project.run('node', [name], { AWS_REGION: 'eu-west-1' });
      expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
    },
  );

  it('that check themselves are the three about testing', () => {
    expect(blocks.filter(({ text }) => text.includes('throw new Error('))).toHaveLength(3);
  });
});
