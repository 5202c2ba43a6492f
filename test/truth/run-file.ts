/** Executes one migration file, and looks at the catalogue around each of its statements. */
import pg from 'pg';
import { SyntaxFault } from '../../src/sql/parse.ts';
import { splitStatements } from '../../src/sql/split.ts';
import { Recorder, type Trace } from './recorder.ts';
import { type Snapshot, type TableFacts, takeSnapshot, withRows } from './snapshot.ts';

export interface FileStatement {
  readonly text: string;
  readonly kind: string;
  readonly node: Readonly<Record<string, unknown>>;
}

export interface FileRun {
  readonly client: pg.ClientBase;
  readonly statements: readonly FileStatement[];
  /** The tables before it. */
  readonly tables: readonly number[];
  /** Those of them that hold rows, or did before they were emptied to let the file through. */
  readonly filled: ReadonlySet<number>;
}

/** SQLSTATEs of statements that PostgreSQL refuses in a transaction, or in one with what precedes them. */
const needsOwnTransaction = new Set(['25001', '2D000', '55006', '55P04']);
const refusedInBlock = new Set(['25001', '2D000']);

export const refusesTransaction = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && needsOwnTransaction.has(error.code ?? '');

/** The file's statements; a file that does not parse is one statement, for PostgreSQL to judge. */
export function statementsOf(sql: string): FileStatement[] {
  try {
    return splitStatements(sql);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return [{ text: sql, kind: 'Unknown', node: {} }];
  }
}

const transactionKind = ({ kind, node }: FileStatement): string =>
  kind === 'TransactionStmt' ? String(node.kind) : '';

export const hasOwnTransactions = (statements: readonly FileStatement[]): boolean =>
  statements.some((statement) => /BEGIN|START|COMMIT|ROLLBACK$/.test(transactionKind(statement)));

/** The whole file in one transaction. */
export async function runInTransaction(run: FileRun): Promise<Trace> {
  const { client, statements } = run;
  await client.query('begin');
  try {
    let last = await takeSnapshot(client, run.tables);
    const recorder = new Recorder(last);
    for (const [index, statement] of statements.entries()) {
      await client.query(statement.text);
      last = await look(run, recorder, { before: last, statement, number: index + 1, bare: false });
    }
    await client.query('commit');
    return recorder.finish(last);
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}

/** Each statement in a transaction of its own, or in those that the file itself opens. */
export async function runByStatement(run: FileRun): Promise<Trace> {
  const { client, statements, tables } = run;
  const recorder = new Recorder(await takeSnapshot(client, tables));
  let open = false;
  try {
    for (const [index, statement] of statements.entries()) {
      const kind = transactionKind(statement);
      if (open || kind !== '') await runInOwnBlock(run, recorder, statement, index + 1);
      else await runAlone(run, recorder, statement, index + 1);
      if (/BEGIN|START/.test(kind)) open = true;
      if (/COMMIT|ROLLBACK$/.test(kind)) open = false;
    }
    if (open) await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
  return recorder.finish(await takeSnapshot(client, tables));
}

/** For a file that cannot be applied: what can, so that later files find more of what they need. */
export async function runWhatWorks({ client, statements }: FileRun): Promise<void> {
  for (const { text } of statements) {
    try {
      await client.query(text);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
    }
  }
  await client.query('rollback');
}

async function runInOwnBlock(
  run: FileRun,
  recorder: Recorder,
  statement: FileStatement,
  number: number,
): Promise<void> {
  // These change nothing by themselves, and some settings of a transaction come before its first query.
  if (statement.kind === 'TransactionStmt' || statement.kind === 'VariableSetStmt') {
    await run.client.query(statement.text);
    return;
  }
  const before = await takeSnapshot(run.client, run.tables);
  await run.client.query(statement.text);
  await look(run, recorder, { before, statement, number, bare: false });
}

async function runAlone(
  run: FileRun,
  recorder: Recorder,
  statement: FileStatement,
  number: number,
): Promise<void> {
  const { client, tables } = run;
  await client.query('begin');
  const before = await takeSnapshot(client, tables);
  try {
    await client.query(statement.text);
  } catch (error) {
    await client.query('rollback');
    if (!(error instanceof pg.DatabaseError && refusedInBlock.has(error.code ?? ''))) throw error;
    await client.query(statement.text);
    await look(run, recorder, { before, statement, number, bare: true });
    return;
  }
  await look(run, recorder, { before, statement, number, bare: false });
  await client.query('commit');
}

interface Glance {
  readonly before: Snapshot;
  readonly statement: FileStatement;
  readonly number: number;
  readonly bare: boolean;
}

async function look(
  run: FileRun,
  recorder: Recorder,
  { before, statement, number, bare }: Glance,
): Promise<Snapshot> {
  const after = await takeSnapshot(run.client, run.tables);
  const emptied = await emptiedTables(run, statement, before, after);
  recorder.step({ text: statement.text, before, after, emptied, bare }, number);
  return after;
}

/** Only these statements can empty a table without deleting its rows one by one. */
const mayTruncate = new Set(['TruncateStmt', 'DoStmt', 'SelectStmt', 'CallStmt']);

async function emptiedTables(
  { client, filled }: FileRun,
  { kind }: FileStatement,
  before: Snapshot,
  after: Snapshot,
): Promise<Set<number>> {
  if (!mayTruncate.has(kind)) return new Set();
  const suspects: TableFacts[] = [...after.tables.values()].filter(
    ({ oid, file }) => filled.has(oid) && before.tables.get(oid)?.file !== file,
  );
  const left = await withRows(client, suspects);
  return new Set(suspects.map(({ oid }) => oid).filter((oid) => !left.has(oid)));
}
