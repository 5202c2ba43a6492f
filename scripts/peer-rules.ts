/**
 * The rules of other tools, each list complete for the version that it names. A rule of ours names those with the same
 * effect in view (`peers`); every other one has the reason here for which it is not ours.
 */

export interface PeerTool {
  readonly name: string;
  readonly version: string;
  readonly rules: readonly string[];
  /** Why a rule is not ours. */
  readonly notOurs: Readonly<Record<string, string>>;
}

const timeouts =
  'Switchback sets `lock_timeout` itself for every statement that blocks others, and tries again; a file need not.';
const robust =
  'A migration runs once. What failed is undone as a whole, or gone on with from the journal, so that nothing has to bear a second run; IF NOT EXISTS hides that what is there is something else.';
const naming = 'How things are named is a matter of taste: Prisma names them, and nothing breaks by it.';
const railsOnly = 'It is about ActiveRecord, not about SQL.';
const query = 'It is about queries, not about migrations.';

export const peerTools: readonly PeerTool[] = [
  {
    name: 'Prisma',
    version: '7.10',
    rules:
      words(`DropAndRecreateColumn NonEmptyColumnDrop NonEmptyTableDrop RiskyCast NotCastable PrimaryKeyChange
      UniqueConstraintAddition EnumValueRemoval AddedRequiredFieldToTable
      AddedRequiredFieldToTableWithPrismaLevelDefault MadeOptionalFieldRequired MadeScalarFieldIntoArrayField
      DropAndRecreateRequiredColumn`),
    notOurs: {},
  },
  {
    name: 'squawk',
    version: '2.66.0',
    rules: words(`adding-field-with-default adding-foreign-key-constraint adding-not-nullable-field
      adding-required-field adding-serial-primary-key-field ban-alter-domain-with-add-constraint ban-char-field
      ban-concurrent-index-creation-in-transaction ban-create-domain-with-constraint ban-drop-column
      ban-drop-database ban-drop-not-null ban-drop-table ban-duplicate-column-assignments ban-truncate-cascade
      ban-uncommitted-transaction changing-column-type constraint-missing-not-valid disallowed-unique-constraint
      identifier-too-long prefer-bigint-over-int prefer-bigint-over-smallint prefer-identity prefer-repack
      prefer-robust-stmts prefer-text-field prefer-timestamp-tz renaming-column renaming-table
      require-concurrent-index-creation require-concurrent-index-deletion require-concurrent-partition-detach
      require-concurrent-reindex require-enum-value-ordering require-lock-timeout require-statement-timeout
      require-table-schema transaction-nesting unused-ignore syntax-error`),
    notOurs: {
      'ban-duplicate-column-assignments':
        'PostgreSQL refuses it (42601) wherever the migration is tried first; it does not depend on data.',
      'prefer-robust-stmts': robust,
      'require-lock-timeout': timeouts,
      'require-statement-timeout': timeouts,
      'require-table-schema':
        'Prisma writes the schema where a project has several; the connection says it where it has one.',
    },
  },
  {
    name: 'postgres-language-server',
    version: '0.25.5',
    rules: words(`addSerialColumn addingFieldWithDefault addingForeignKeyConstraint addingNotNullField
      addingPrimaryKeyConstraint addingRequiredField avoidAddingExclusionConstraint avoidAlterEnumAddValue
      avoidAttachingPartition avoidCreateTrigger avoidEnableDisableTrigger avoidWideLockWindow banCharField
      banConcurrentIndexCreationInTransaction banDeleteWithoutWhere banDropColumn banDropDatabase banDropNotNull
      banDropSchema banDropTable banDropTrigger banTruncate banTruncateCascade banUpdateWithoutWhere banVacuumFull
      changingColumnType concurrentRefreshMatviewLock constraintMissingNotValid creatingEnum disallowUniqueConstraint
      lockTimeoutWarning multipleAlterTable preferBigInt preferBigintOverInt preferBigintOverSmallint preferIdentity
      preferJsonb preferRobustStmts preferTextField preferTimestamptz renamingColumn renamingTable
      requireConcurrentDetachPartition requireConcurrentIndexCreation requireConcurrentIndexDeletion
      requireConcurrentRefreshMatview requireConcurrentReindex requireIdleInTransactionTimeout
      requireSeparateConstraintValidation requireStatementTimeout runningStatementWhileHoldingAccessExclusive
      transactionNesting`),
    notOurs: {
      creatingEnum:
        'Prisma makes an enum for every enum of a schema file; what goes wrong later has rules of its own.',
      lockTimeoutWarning: timeouts,
      preferRobustStmts: robust,
      requireIdleInTransactionTimeout: 'Switchback does not idle in a transaction.',
      requireStatementTimeout: timeouts,
    },
  },
  {
    name: 'eugene',
    version: '0.8.3',
    rules: words('E1 E2 E3 E4 E5 E6 E7 E8 E9 E10 E11 W12 W13 W14 E15'),
    notOurs: { E9: timeouts },
  },
  {
    name: 'strong_migrations',
    version: '2.8.0',
    rules: [
      'remove_column',
      'change_column',
      'change_column (+ with constraint)',
      'rename_column',
      'rename_table',
      'create_table force',
      'add auto-increment column',
      'add stored generated column',
      'add_foreign_key',
      'add_check_constraint',
      'execute',
      'backfill (ActiveRecord inside DDL)',
      'add_index non-concurrent',
      'add_reference',
      'add_unique_constraint',
      'add_exclusion_constraint',
      'json column',
      'volatile default',
      'change_column_null',
      'rename_enum_value',
      'rename_schema',
      'non-unique index > 3 columns',
      'opt-in remove_index',
      'PG 14.0-14.3 CIC corruption',
    ],
    notOurs: {
      'non-unique index > 3 columns':
        'Whether an index is of use, queries decide; the number of its columns does not.',
    },
  },
  {
    name: 'online_migrations',
    version: '0.36',
    rules: words(`short_primary_key_type create_table change_table rename_table add_column_with_default
      add_column_with_default_null add_column_generated_stored add_column_json add_inheritance_column rename_column
      change_column_with_not_null change_column change_column_constraint change_column_default change_column_null
      remove_column add_timestamps_with_default add_reference add_index add_index_corruption remove_index replace_index
      add_foreign_key validate_foreign_key add_exclusion_constraint add_check_constraint add_unique_constraint
      validate_constraint add_not_null_constraint add_text_limit_constraint execute multiple_foreign_keys drop_table_multiple_foreign_keys
      mismatched_foreign_key_type hash_indexes`),
    notOurs: {
      create_table: railsOnly,
      change_table: railsOnly,
      add_inheritance_column: railsOnly,
      add_column_with_default_null: 'A default of NULL is none, and brief on any table.',
      mismatched_foreign_key_type:
        'PostgreSQL compares different integer types without loss, and refuses types that it cannot compare.',
      hash_indexes:
        'Whether a hash index is of use, queries decide; it is written to the log since PostgreSQL 10.',
    },
  },
  {
    name: 'Atlas',
    version: '1.3.3',
    rules:
      words(`BC101 BC102 CD101 DS101 DS102 DS103 MF101 MF102 MF103 MF104 PG101 PG102 PG103 PG104 PG105 PG110
      PG301 PG302 PG303 PG304 PG305 PG306 NM101 NM102 NM103 NM104 NM105 NM106`).concat('non-linear history'),
    notOurs: {
      CD101:
        'Dropping a foreign key is brief and breaks no query; what it no longer keeps out is the team’s decision.',
      PG110: 'The order of columns costs a few bytes in a row, and no migration changes it later.',
      NM101: naming,
      NM102: naming,
      NM103: naming,
      NM104: naming,
      NM105: naming,
      NM106: naming,
    },
  },
  {
    name: 'pg-schema-diff',
    version: '6208f8f',
    rules:
      words(`ACQUIRES_ACCESS_EXCLUSIVE_LOCK ACQUIRES_SHARE_LOCK ACQUIRES_SHARE_ROW_EXCLUSIVE_LOCK CORRECTNESS
      DELETES_DATA HAS_UNTRACKABLE_DEPENDENCIES INDEX_BUILD INDEX_DROPPED IMPACTS_DATABASE_PERFORMANCE
      IS_USER_GENERATED UPGRADING_EXTENSION_VERSION AUTHZ_UPDATE`),
    notOurs: {
      UPGRADING_EXTENSION_VERSION: 'What a new version of an extension does, only its own scripts say.',
    },
  },
  {
    name: 'Bytebase',
    version: '37339d73',
    rules: [
      'builtin prior-backup check',
      'builtin walk-through',
      'charset allow-list',
      'collation allow-list',
      'comment: length',
      ...words(`comment default-disallow-volatile disallow-change-type maximum-character-length no-null
        require-default required type-disallow-list`).map((rule) => `column: ${rule}`),
      ...words(`create-concurrently key-number-limit no-duplicate-column primary-key-type-allowlist
        total-number-limit`).map((rule) => `index: ${rule}`),
      ...words('disallow-order-by-rand must-specify-column row-limit').map((rule) => `insert: ${rule}`),
      'schema.backward-compatibility',
      ...words('column fk fully-qualified idx pk table uk').map((rule) => `naming: ${rule}`),
      ...words(`add-check-not-valid add-foreign-key-not-valid affected-row-limit check-set-role-variable
        create-specify-schema disallow-add-column-with-default disallow-add-not-null disallow-commit
        disallow-on-del-cascade disallow-rm-tbl-cascade disallow-truncate dml-dry-run merge-alter-table
        no-leading-wildcard-like no-select-all non-transactional object-owner-check where-disallow-functions
        where-require-select where-require-update-delete`).map((rule) => `statement: ${rule}`),
      ...words('comment disallow-partition drop-naming-convention no-foreign-key require-pk').map(
        (rule) => `table: ${rule}`,
      ),
    ],
    notOurs: {
      'builtin prior-backup check': 'Switchback backs up the whole database before it deploys.',
      'builtin walk-through':
        'Ours, though no rule: the schema is followed through the folder, and rules speak of what they find in it.',
      'charset allow-list': 'A database’s encoding is chosen when it is made, not by a migration.',
      'collation allow-list': 'Which collations a team uses is its own decision; changing one has a rule.',
      'comment: length': naming,
      'column: comment': naming,
      'column: required': 'Which columns every table has to have is a team’s own convention.',
      'column: maximum-character-length': 'varchar(n) and char(n) are not more costly for a larger n.',
      'index: key-number-limit':
        'Whether an index is of use, queries decide; the number of its columns does not.',
      'index: total-number-limit': 'How many indexes a table bears depends on how often it is written.',
      'insert: disallow-order-by-rand': query,
      'insert: must-specify-column':
        'Columns are added at the end, so that an INSERT of the same folder stays right.',
      'insert: row-limit': 'New rows block nobody.',
      'naming: column': naming,
      'naming: fk': naming,
      'naming: fully-qualified': naming,
      'naming: idx': naming,
      'naming: pk': naming,
      'naming: table': naming,
      'naming: uk': naming,
      'statement: check-set-role-variable': 'As whom a migration runs is configured, not written into it.',
      'statement: create-specify-schema':
        'Prisma writes the schema where a project has several; the connection says it where it has one.',
      'statement: disallow-on-del-cascade':
        'ON DELETE is the application’s decision, which its schema file states.',
      'statement: dml-dry-run': 'Ours, though no rule: a plan shows what a deployment would do.',
      'statement: merge-alter-table':
        'Statements of one transaction hold the lock once, however many ALTER TABLE there are.',
      'statement: no-leading-wildcard-like': query,
      'statement: no-select-all': query,
      'statement: object-owner-check':
        'Ours, though no rule: the checks before a deployment look at privileges.',
      'statement: where-disallow-functions': query,
      'statement: where-require-select': query,
      'table: comment': naming,
      'table: drop-naming-convention': naming,
    },
  },
  {
    name: 'prisma-safety',
    version: '0.0.8',
    rules: ['field dropped before it is @ignored'],
    notOurs: {},
  },
  {
    name: 'Liquibase',
    version: 'the checks of SQL that its documentation shows',
    rules: words(
      'ChangeDropColumnWarn ChangeDropTableWarn ChangeTruncateTableWarn PrimaryKeyOnCreateTable SqlGrantWarn',
    ),
    notOurs: {},
  },
];

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
