import { comments, defaultPrivileges } from './about.ts';
import * as code from './code.ts';
import * as columns from './columns.ts';
import * as rare from './rare.ts';
import * as relations from './relations.ts';
import type { FactQuery } from './scope.ts';
import * as types from './types.ts';

/** All facts of a schema. */
export const factQueries: readonly FactQuery[] = [
  ...Object.values(types),
  ...Object.values(relations),
  ...Object.values(columns),
  ...Object.values(code),
  ...Object.values(rare),
  comments,
  defaultPrivileges,
];
