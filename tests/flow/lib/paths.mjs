// Where things are: the project's root, the build under test, and the folder for what a run leaves behind.
import { fileURLToPath } from 'node:url';
import { join, resolve } from 'node:path';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const build = resolve(root, process.env.RINGBACK_BUILD ?? 'build/debug');
export const release = join(root, 'build/release');
export const leavings = join(root, 'build/flow');
export const fixture = fileURLToPath(new URL('../data', import.meta.url));
