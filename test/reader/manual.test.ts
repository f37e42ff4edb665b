import { once } from 'node:events';
import { cpSync, existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualLines, openPackedProject, type PackedProject, root } from './packed-project.ts';

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

describe('the ways to get it', () => {
  /** A command in the manual's table; the SDK client that it names comes from the registry, which tests do without. */
  const line = (pattern: RegExp) =>
    (manualLines(pattern)[0] ?? 'false').replace(' @aws-sdk/client-secrets-manager', '');
  const offline = '--offline --legacy-peer-deps --no-audit --no-fund';

  it('the tarball itself is installed', async () => {
    project.write('by-tarball/package.json', { name: 'by-tarball', private: true });
    cpSync(project.tarball, join(project.folder, 'by-tarball/vendor', basename(project.tarball)));
    const install = line(/npm install \.\/vendor\/[^`]*\.tgz[^`]*/g);
    expect(await project.run('sh', ['-c', `cd by-tarball && ${install} ${offline}`])).toMatchObject({ code: 0 });
    expect(existsSync(join(project.folder, 'by-tarball/node_modules/d1-token-reader/dist'))).toBe(true);
  });

  it('a folder is installed as a package is, and not as a link into another tree', async () => {
    project.write('by-folder/package.json', { name: 'by-folder', private: true });
    const packed = join(project.folder, 'node_modules/d1-token-reader');
    cpSync(packed, join(project.folder, 'by-folder/vendor/d1-token-broker/src/reader'), { recursive: true });
    const install = line(/npm install --install-links [^`]*/g);
    expect(await project.run('sh', ['-c', `cd by-folder && ${install} ${offline}`])).toMatchObject({ code: 0 });
    expect(lstatSync(join(project.folder, 'by-folder/node_modules/d1-token-reader')).isDirectory()).toBe(true);
  });

  it('a registry is given the tarball', async () => {
    const received: string[] = [];
    const registry = createServer(async (request, response) => {
      received.push(`${request.method} ${request.url}`);
      await request.toArray();
      response.writeHead(request.method === 'PUT' ? 201 : 404, { 'content-type': 'application/json' }).end('{}');
    }).listen(0, '127.0.0.1');
    await once(registry, 'listening');
    try {
      const host = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
      project.write('published/package.json', { name: 'published', private: true });
      project.write('published/.npmrc', `//${host}/:_authToken=not-a-token\n`);
      cpSync(project.tarball, join(project.folder, 'published', basename(project.tarball)));
      const publish = line(/npm publish [^`]*/g).replace(/https:\S+/, `http://${host}`);
      const ran = await project.run('sh', ['-c', `cd published && ${publish}`]);
      expect(ran).toMatchObject({ code: 0, stdout: '+ d1-token-reader@0.1.0\n' });
      expect(received.at(-1)).toBe('PUT /d1-token-reader');
    } finally {
      registry.closeAllConnections();
      registry.close();
    }
  });
});
