/** What a table is to become: actions of ALTER TABLE, as they are applied to its shadow. */
import { AppError } from '../../errors.ts';
import { loadParser, parse, SyntaxFault } from '../../sql/parse.ts';
import type { AlterTableCmd, Node } from '../../sql/tree.ts';

/** Actions that change what a table is made of. What hangs on it, such as triggers and foreign keys, is carried over as it is. */
const possible = new Set([
  'AT_AddColumn',
  'AT_DropColumn',
  'AT_AlterColumnType',
  'AT_ColumnDefault',
  'AT_SetNotNull',
  'AT_DropNotNull',
  'AT_SetExpression',
  'AT_DropExpression',
  'AT_AddIdentity',
  'AT_SetIdentity',
  'AT_DropIdentity',
  'AT_SetStatistics',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetStorage',
  'AT_SetCompression',
  'AT_AddConstraint',
  'AT_DropConstraint',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_SetAccessMethod',
  'AT_SetTableSpace',
  'AT_SetLogged',
]);

export interface Alteration {
  /** What stands behind `ALTER TABLE name`; it may end in a comment. */
  readonly text: string;
  /** Columns whose new type comes with a USING, which says nothing about rows that are mirrored. */
  readonly using: readonly string[];
}

/**
 * Reads actions as they stand behind `ALTER TABLE name`, separated by commas.
 * @throws AppError `MAPPING_INVALID`
 */
export async function readAlteration(text: string): Promise<Alteration> {
  await loadParser();
  const commands = commandsOf(text);
  for (const { subtype, def } of commands) {
    if (!possible.has(subtype ?? ''))
      throw refused(`it does more than change what the table is made of (${subtype})`);
    if (isForeignKey(def))
      throw refused('a foreign key is added by a migration of its own, once the table has its place');
  }
  const using = commands.flatMap(({ subtype, name, def }) =>
    subtype === 'AT_AlterColumnType' &&
    def !== undefined &&
    'ColumnDef' in def &&
    def.ColumnDef.raw_default !== undefined
      ? [name ?? '']
      : [],
  );
  return { text, using };
}

/** A constraint of the table, or one that stands with a column. */
function isForeignKey(def: Node | undefined): boolean {
  if (def === undefined) return false;
  if ('Constraint' in def) return def.Constraint.contype === 'CONSTR_FOREIGN';
  return 'ColumnDef' in def && (def.ColumnDef.constraints ?? []).some(isForeignKey);
}

function commandsOf(text: string): AlterTableCmd[] {
  try {
    const statements = parse(`ALTER TABLE only_one\n${text}\n`);
    const node = statements[0]?.node.AlterTableStmt as
      | {
          readonly relation?: { readonly relname?: string; readonly schemaname?: string };
          readonly cmds?: readonly object[];
        }
      | undefined;
    if (
      statements.length !== 1 ||
      node?.relation?.relname !== 'only_one' ||
      node.relation.schemaname !== undefined
    )
      throw refused('these are no actions of one ALTER TABLE');
    return (node.cmds ?? []).flatMap((item) =>
      'AlterTableCmd' in item ? [item.AlterTableCmd as AlterTableCmd] : [],
    );
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw refused(error.message);
  }
}

const refused = (reason: string): AppError =>
  new AppError(
    'MAPPING_INVALID',
    `What is given for \`alter\` cannot be used: ${reason}. Nothing was done. Give actions as they stand behind ALTER TABLE name: columns, types, defaults, CHECK, UNIQUE and PRIMARY KEY, storage.`,
    { for: 'alter', reason },
  );
