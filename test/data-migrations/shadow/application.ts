/** An application that writes to a table as fast as it can, in all ways, and keeps a ledger of what the sum must be. */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { withClient } from '../migrate.ts';

export const initialRows = 4_000;

export const accounts = `
  create table account (id int primary key, balance int not null, note text not null default 'x', touched int not null default 0);
  create table ledger (delta bigint not null);
  insert into account (id, balance) select n * 3, n from generate_series(1, ${initialRows}) n;
  insert into ledger select sum(balance) from account`;

/** What may happen to any transaction: it is rolled back and the next one comes. */
const expected = new Set(['40001', '40P01', '55P03']);

const levels = ['read committed', 'repeatable read', 'serializable'];
const any = (): number => 3 * Math.ceil(Math.random() * initialRows);
const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)] as T;

const changes: readonly (() => string[])[] = [
  // Money goes from one account to another one, in whatever order.
  () => {
    const amount = Math.ceil(Math.random() * 50);
    return [
      `with one as (update account set balance = balance - ${amount}, touched = touched + 1 where id = ${any()} returning 1) insert into ledger select -${amount} from one`,
      `with one as (update account set balance = balance + ${amount}, note = 'n${amount}' where id = ${any()} returning 1) insert into ledger select ${amount} from one`,
    ];
  },
  () => [
    `with gone as (delete from account where id = ${any()} returning balance) insert into ledger select -balance from gone`,
  ],
  // Rows come back, and come between those that are there.
  () => [
    `with come as (insert into account (id, balance, note) values (${any() + pick([0, 0, 1, 2])}, 7, 'come')
       on conflict (id) do update set balance = account.balance + 7 returning 1) insert into ledger select 7 from come`,
  ],
  () => {
    const from = any();
    return [
      `with many as (update account set balance = balance + 1 where id between ${from} and ${from + 60} returning 1) insert into ledger select count(*) from many`,
    ];
  },
  () => {
    const id = any();
    return [
      `with gone as (delete from account where id = ${id} returning balance) insert into ledger select -balance from gone`,
      `with come as (insert into account (id, balance, note) values (${id}, 11, 'again') on conflict do nothing returning 1) insert into ledger select 11 from come`,
    ];
  },
];

export class Application {
  readonly #url: string;
  readonly #clients: number;
  readonly #outages: boolean;
  #stopped = false;
  #work: Promise<unknown> = Promise.resolve();
  writes = 0;
  readonly errors: string[] = [];

  /** @param outages whether the server may be away */
  constructor(url: string, clients: number, outages = false) {
    this.#url = url;
    this.#clients = clients;
    this.#outages = outages;
  }

  start(): void {
    this.#work = Promise.all(Array.from({ length: this.#clients }, () => this.#run()));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await withClient(this.#url, async (client) => {
          client.on('error', () => undefined);
          while (!this.#stopped) await this.#write(client);
        });
      } catch (error) {
        if (!this.#outages) {
          this.errors.push(String(error));
          return;
        }
        await pause(20);
      }
    }
  }

  async #write(client: pg.Client): Promise<void> {
    try {
      await client.query(`begin isolation level ${pick(levels)}`);
      // Some of them see the database as it was a while ago.
      if (Math.random() < 0.3) {
        await client.query('select count(*) from ledger');
        await pause(Math.random() * 30);
      }
      for (const statement of pick(changes)()) await client.query(statement);
      await client.query(Math.random() < 0.1 ? 'rollback' : 'commit');
      this.writes += 1;
    } catch (error) {
      if (!expected.has((error as pg.DatabaseError).code ?? '')) throw error;
      await client.query('rollback');
    }
  }
}

export const sumsSql =
  'select (select sum(balance)::int from account) as sum, (select sum(delta)::int from ledger) as ledger';
