import { Schema } from '../analysis/schema/schema.ts';
import type { QualifiedName } from '../sql/tree.ts';

/** Functions of PostgreSQL that migrations call, for where no catalogue tells which ones are the database's own. */
const common = new Set(
  `abs age any_value array_agg array_append array_cat array_length array_position array_remove array_replace
   array_to_json array_to_string avg bool_and bool_or btrim cardinality ceil char_length clock_timestamp concat concat_ws
   convert_from convert_to count current_database current_schema current_schemas current_setting currval date_part
   date_trunc decode dense_rank encode extract first_value floor format format_type gen_random_bytes gen_random_uuid
   generate_series greatest initcap json_agg json_build_array json_build_object jsonb_agg jsonb_array_elements
   jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
   jsonb_object_agg jsonb_object_keys jsonb_set jsonb_strip_nulls jsonb_typeof json_array_elements json_build_object
   lag last_value lastval lead least left length lower lpad ltrim make_date make_interval max md5 min mod nextval now
   ntile nullif overlay pg_advisory_lock pg_advisory_xact_lock pg_get_serial_sequence pg_is_in_recovery pg_notify
   pg_size_pretty pg_sleep pg_stat_reset pg_table_size pg_total_relation_size pg_try_advisory_lock position power
   quote_ident quote_literal random rank regexp_match regexp_matches regexp_replace regexp_split_to_array
   regexp_split_to_table repeat replace reverse right round row_number row_to_json rpad rtrim set_config sha256 split_part
   sqrt string_agg string_to_array strpos substr substring sum timezone to_char to_date to_json to_jsonb to_number
   to_regclass to_regtype to_timestamp to_tsvector translate trim trunc txid_current unnest upper uuid_generate_v4
   version width_bucket`.split(/\s+/),
);

/** Whether a function writes nothing: an immutable or stable one may not, and PostgreSQL's own do not. */
export function isHarmless(name: QualifiedName, schema: Schema): boolean {
  if (Schema.isBuiltIn(name.schema)) return true;
  const own = schema.functions.get(schema.functionKey(name));
  // Those of pgcrypto and uuid-ossp are volatile, and write nothing.
  if (own !== undefined)
    return own.volatility !== 'volatile' || /^(gen_random|uuid_generate)_/.test(name.name);
  return schema.complete || common.has(name.name);
}
