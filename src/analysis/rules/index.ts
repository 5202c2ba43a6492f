import type { Rule } from '../define-rule.ts';
import { checkScan } from './check-scan.ts';
import { codeNotFollowed } from './code-not-followed.ts';
import { columnDefaultRemoved } from './column-default-removed.ts';
import { columnMadeNullable } from './column-made-nullable.ts';
import { columnStillSelected } from './column-still-selected.ts';
import { columnTypeOpinion } from './column-type-opinion.ts';
import { concurrentlyInTransaction } from './concurrently-in-transaction.ts';
import { concurrentlyWithOthers } from './concurrently-with-others.ts';
import { constraintBuildsIndex } from './constraint-builds-index.ts';
import { constraintMayFail } from './constraint-may-fail.ts';
import { dataAndSchemaMixed } from './data-and-schema-mixed.ts';
import { dataMovedThenDropped } from './data-moved-then-dropped.ts';
import { dropCascade } from './drop-cascade.ts';
import { dropColumn } from './drop-column.ts';
import { dropSchema } from './drop-schema.ts';
import { dropTable } from './drop-table.ts';
import { duplicateIndex } from './duplicate-index.ts';
import { emptyMigration } from './empty-migration.ts';
import { enumValueRemoved } from './enum-value-removed.ts';
import { enumValueUsedTooEarly } from './enum-value-used-too-early.ts';
import { explicitLock } from './explicit-lock.ts';
import { faultySuppression } from './faulty-suppression.ts';
import { foreignKeyScan } from './foreign-key-scan.ts';
import { foreignKeyWithoutIndex } from './foreign-key-without-index.ts';
import { historyDiffers } from './history-differs.ts';
import { identifierTooLong } from './identifier-too-long.ts';
import { indexDropWithoutConcurrently } from './index-drop-without-concurrently.ts';
import { indexWithoutConcurrently } from './index-without-concurrently.ts';
import { invalidIndexKept } from './invalid-index-kept.ts';
import { lockFileMissing } from './lock-file-missing.ts';
import { lockOrder } from './lock-order.ts';
import { lockTimeoutBreaksConcurrently } from './lock-timeout-breaks-concurrently.ts';
import { longWorkUnderLock } from './long-work-under-lock.ts';
import { manyTablesLocked } from './many-tables-locked.ts';
import { nameWithoutTimestamp } from './name-without-timestamp.ts';
import { newColumnRewrites } from './new-column-rewrites.ts';
import { notNullMayFail } from './not-null-may-fail.ts';
import { notNullScan } from './not-null-scan.ts';
import { orderByNameDiffers } from './order-by-name-differs.ts';
import { partitionDetached } from './partition-detached.ts';
import { reindexWithoutConcurrently } from './reindex-without-concurrently.ts';
import { renameColumn } from './rename-column.ts';
import { renameEnumValue } from './rename-enum-value.ts';
import { renameTable } from './rename-table.ts';
import { renameType } from './rename-type.ts';
import { requiredColumnWithoutDefault } from './required-column-without-default.ts';
import { rowSecurityChanged } from './row-security-changed.ts';
import { tableCopied } from './table-copied.ts';
import { tableWithoutPrimaryKey } from './table-without-primary-key.ts';
import { triggerChanged } from './trigger-changed.ts';
import { truncate } from './truncate.ts';
import { typeChangeMayFail } from './type-change-may-fail.ts';
import { typeChangeRebuildsIndex } from './type-change-rebuilds-index.ts';
import { typeChangeRewrites } from './type-change-rewrites.ts';
import { unboundedWrite } from './unbounded-write.ts';
import { uncommittedTransaction } from './uncommitted-transaction.ts';
import { unparsableStatement } from './unparsable-statement.ts';
import { validatedInSameTransaction } from './validated-in-same-transaction.ts';
import { viewOrFunctionDropped } from './view-or-function-dropped.ts';
import { viewRefreshedUnderLock } from './view-refreshed-under-lock.ts';

/** All rules. A new one is its file, its two fixtures, and two lines here. */
export const rules: readonly Rule[] = [
  checkScan,
  codeNotFollowed,
  columnDefaultRemoved,
  columnMadeNullable,
  columnStillSelected,
  columnTypeOpinion,
  concurrentlyInTransaction,
  concurrentlyWithOthers,
  constraintBuildsIndex,
  constraintMayFail,
  dataAndSchemaMixed,
  dataMovedThenDropped,
  dropCascade,
  dropColumn,
  dropSchema,
  dropTable,
  duplicateIndex,
  emptyMigration,
  enumValueRemoved,
  enumValueUsedTooEarly,
  explicitLock,
  faultySuppression,
  foreignKeyScan,
  foreignKeyWithoutIndex,
  historyDiffers,
  identifierTooLong,
  indexDropWithoutConcurrently,
  indexWithoutConcurrently,
  invalidIndexKept,
  lockFileMissing,
  lockOrder,
  lockTimeoutBreaksConcurrently,
  longWorkUnderLock,
  manyTablesLocked,
  nameWithoutTimestamp,
  newColumnRewrites,
  notNullMayFail,
  notNullScan,
  orderByNameDiffers,
  partitionDetached,
  reindexWithoutConcurrently,
  renameColumn,
  renameEnumValue,
  renameTable,
  renameType,
  requiredColumnWithoutDefault,
  rowSecurityChanged,
  tableCopied,
  tableWithoutPrimaryKey,
  triggerChanged,
  truncate,
  typeChangeMayFail,
  typeChangeRebuildsIndex,
  typeChangeRewrites,
  unboundedWrite,
  uncommittedTransaction,
  unparsableStatement,
  validatedInSameTransaction,
  viewOrFunctionDropped,
  viewRefreshedUnderLock,
];
