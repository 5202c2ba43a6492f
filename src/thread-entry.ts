import path from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * What a worker thread is started with: the module beside the caller, a source or what was built from it, as the caller
 * is. Sources are run as they are in development and in tests; `--import tsx` does not reach into threads.
 * @param name `./thread`, without its ending
 */
export function threadEntry(caller: ImportMeta, name: string): URL {
  const extension = path.extname(caller.filename);
  const entry = new URL(`${name}${extension}`, pathToFileURL(caller.filename));
  return extension === '.ts' ? throughTsx(entry) : entry;
}

function throughTsx(entry: URL): URL {
  const api = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import { register } from ${api}; register(); await import(${JSON.stringify(entry.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
