import type { JobDependencies } from '../jobs/dependencies.ts';

/** What the HTTP application works with: everything that jobs have, but for what only workers touch. */
export type ApiDependencies = Omit<JobDependencies, 'store'>;
