import { defineSignal } from '../define-signal.ts';
import { inBytes } from './words.ts';

interface Slot {
  readonly name: string;
  readonly active: boolean;
  readonly unreserved: boolean;
  readonly retained: number;
}

const sql = `
  select slot_name as name, active, wal_status = 'unreserved' as unreserved,
         pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 as retained
    from pg_replication_slots
   where restart_lsn is not null and wal_status is distinct from 'lost'`;

/** Replication slots keep WAL for a reader that is slow, or gone: until the disk is full, or the slot is lost. */
export const slots = defineSignal({
  name: 'slots',
  summary: 'WAL that replication slots hold back',
  everyMs: 5_000,
  isOn: (limits) => limits.retainedWalBytes !== null,
  watch:
    () =>
    async ({ query }, { retainedWalBytes }) => {
      const limit = retainedWalBytes ?? Number.POSITIVE_INFINITY;
      const { rows } = await query<Slot>(sql);
      return rows.map(({ name, active, unreserved, retained }) => {
        const who = `replication slot ${name}${active ? '' : ', which nobody reads,'}`;
        // At the next checkpoint the server would remove WAL that its reader still needs.
        if (unreserved)
          return {
            level: Number.POSITIVE_INFINITY,
            says: `${who} is about to be lost (max_slot_wal_keep_size)`,
          };
        return {
          level: retained / limit,
          says: `${who} holds back ${inBytes(retained)} of WAL, limit ${inBytes(limit)}`,
        };
      });
    },
});
