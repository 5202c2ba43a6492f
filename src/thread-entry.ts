/**
 * What a worker thread is started with: its module. Sources are run as they are in development and in tests;
 * `--import tsx` does not reach into threads.
 */
export const threadEntry = (module: URL): URL =>
  module.pathname.endsWith('.ts') ? throughTsx(module) : module;

function throughTsx(module: URL): URL {
  const api = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import { register } from ${api}; register(); await import(${JSON.stringify(module.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
