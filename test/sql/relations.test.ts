import { beforeAll, expect, test } from 'vitest';
import { loadParser, parse } from '../../src/sql/parse.ts';
import { lockedRelations } from '../../src/sql/relations.ts';

beforeAll(loadParser);

const relationsOf = (sql: string): string[] =>
  lockedRelations(parse(sql)[0]?.node)
    .map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
    .sort();

test.each<[string, string[]]>([
  ['alter table a.b add constraint x foreign key (y) references c.d(id)', ['a.b', 'c.d']],
  ['create table n (a int references m(id), foreign key (a) references k(id))', ['k', 'm', 'n']],
  ['drop table a.b, c cascade', ['a.b', 'c']],
  ['drop index concurrently i', ['i']],
  ['drop type e', []],
  ['create index on "Orders"(id)', ['Orders']],
  ['truncate a, b', ['a', 'b']],
  ['alter table t rename column a to b', ['t']],
  ['alter table t set schema s', ['t']],
  ['create policy p on t', ['t']],
  ['create trigger x before insert on t for each row execute function f()', ['t']],
  ['insert into t select * from s', ['t']],
  ['update t set a = s.a from s where s.id in (select id from u)', ['t']],
  ['merge into t using u on true when matched then delete', ['t']],
  ['vacuum t', ['t']],
  ['lock table q', ['q']],
  ['create view v as select * from t', []],
  ['select * from t', []],
])('%s', (sql, expected) => {
  expect(relationsOf(sql)).toEqual(expected);
});
