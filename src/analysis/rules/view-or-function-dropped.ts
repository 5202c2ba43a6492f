import { defineRule } from '../define-rule.ts';
import { splitKey } from '../schema/schema.ts';

export const viewOrFunctionDropped = defineRule({
  id: 'view-or-function-dropped',
  severity: 'caution',
  effect: 'breaksOldVersion',
  summary: 'A view, materialized view or function that existed before is dropped and not made again',
  why: 'Whatever of the old release reads the view or calls the function fails from that moment on. Its data is not lost: it is computed from tables.',
  peers: ['Bytebase: schema.backward-compatibility'],
  checkMigration({ changes, schema, number }) {
    const made = new Set(
      changes.flatMap(({ change }) =>
        change.kind === 'createView'
          ? [change.view]
          : change.kind === 'createFunction'
            ? [change.function]
            : [],
      ),
    );
    return changes.flatMap(({ change, statement, existed, droppedFunction }) => {
      // A trigger's function is called by nobody else.
      if (!existed || /\breturns\s+trigger\b/i.test(droppedFunction?.definition ?? '')) return [];
      const isView =
        change.kind === 'dropTable' && (change.tableKind === 'view' || change.tableKind === 'materialized');
      if (!isView && change.kind !== 'dropFunction') return [];
      const key = isView ? change.table : change.kind === 'dropFunction' ? change.function : '';
      const again = schema.tables.get(key) ?? schema.functions.get(key);
      if (made.has(key) || again?.since === number) return [];
      const { name } = splitKey(key);
      return [
        {
          table: isView ? key : null,
          line: statement.line,
          column: statement.column,
          message: isView
            ? `Queries of the old release on the view "${name}" fail from now on.`
            : `Statements and triggers of the old release that call ${name}() fail from now on.`,
          remedy: 'Drop it when no release in use needs it.',
        },
      ];
    });
  },
});
