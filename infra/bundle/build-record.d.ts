import type { Plugin } from 'esbuild';

export declare function buildRecord(): Plugin;
