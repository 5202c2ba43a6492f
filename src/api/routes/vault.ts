import { readVault, readVaultEntry, removeVaultEntry } from '../../jobs/vault/vault.ts';
import type { App } from '../app.ts';
import { callerOf, databaseFor } from '../authentication.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { keyOf, toPage } from '../paging.ts';
import * as schemas from '../schemas/vault.ts';

const tags = ['vault'];

export function vault(app: App, deps: ApiDependencies): void {
  const { config } = deps;

  app.route({
    method: 'GET',
    url: '/api/vault',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'listVault',
      summary: 'List what the vault of a database keeps of what was removed, newest first',
      querystring: schemas.vaultQuery,
      response: { 200: schemas.vaultPage },
    },
    handler: async (request) => {
      const { database, state, cursor, limit } = request.query;
      const { name } = databaseFor(callerOf(request), config, database);
      const last = cursor === undefined ? null : keyOf(cursor);
      const entries = await readVault(deps, name);
      const from = last === null ? 0 : entries.findIndex(({ id }) => id === last) + 1;
      const found = entries.slice(from).filter((entry) => state === undefined || entry.state === state);
      return toPage(
        found.slice(0, limit + 1).map((entry) => ({ ...entry, columns: [...entry.columns] })),
        limit,
        ({ id }) => id,
      );
    },
  });

  app.route({
    method: 'GET',
    url: '/api/vault/:id',
    config: { access: 'read' },
    schema: {
      tags,
      operationId: 'getVaultEntry',
      summary: 'Read one entry of the vault, with what could not be put back',
      params: schemas.vaultEntryParameter,
      querystring: schemas.vaultEntryQuery,
      response: { 200: schemas.vaultEntryDetail },
    },
    handler: async (request) => {
      const { name } = databaseFor(callerOf(request), config, request.query.database);
      const entry = await readVaultEntry(deps, name, request.params.id);
      return {
        ...entry,
        columns: [...entry.columns],
        examples: entry.examples.map((one) => ({ ...one, kept: one.kept && { ...one.kept } })),
      };
    },
  });

  app.route({
    method: 'DELETE',
    url: '/api/vault/:id',
    config: { access: 'approve' },
    schema: {
      tags,
      operationId: 'removeVaultEntry',
      summary: 'Remove what an entry of the vault keeps, for good',
      params: schemas.vaultEntryParameter,
      querystring: schemas.vaultEntryQuery,
      response: { 200: schemas.vaultEntry },
    },
    handler: async (request) => {
      const { name } = databaseFor(callerOf(request), config, request.query.database);
      const entry = await removeVaultEntry(deps, name, request.params.id);
      return { ...entry, columns: [...entry.columns] };
    },
  });
}
