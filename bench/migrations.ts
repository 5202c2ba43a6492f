/** Migrations as Prisma writes them, any number of them, the same in every run. */

export interface WrittenMigration {
  readonly name: string;
  readonly sql: string;
}

/** A generator of numbers with a seed (mulberry32). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const types = [
  'TEXT',
  'TEXT',
  'TEXT',
  'INTEGER',
  'BOOLEAN',
  'TIMESTAMP(3)',
  'JSONB',
  'DECIMAL(65,30)',
  'BIGINT',
];
const words = [
  'status',
  'owner',
  'amount',
  'label',
  'note',
  'external',
  'archived',
  'version',
  'token',
  'region',
];

interface Table {
  readonly name: string;
  readonly columns: string[];
}

class Application {
  readonly #random: (below: number) => number;
  readonly #tables: Table[] = [];
  readonly #enums: { readonly name: string; readonly labels: string[] }[] = [];
  #names = 0;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  /** One migration's text: mostly one or two changes, now and then a feature of several tables. */
  next(): string {
    if (this.#tables.length < 3 || this.#random(12) === 0) return this.#feature(2 + this.#random(3));
    return Array.from({ length: 1 + this.#random(3) }, () => this.#change()).join('\n');
  }

  #one<T>(from: readonly T[]): T {
    return from[this.#random(from.length)] as T;
  }

  #name(word: string): string {
    this.#names += 1;
    return `${word}${this.#names}`;
  }

  #feature(tables: number): string {
    const made = Array.from({ length: tables }, () => this.#name('Model'));
    const label = this.#name('Kind');
    this.#enums.push({ name: label, labels: ['OPEN', 'CLOSED'] });
    const columns = new Map(
      made.map((name) => [
        name,
        Array.from({ length: 4 + this.#random(9) }, () => this.#name(this.#one(words))),
      ]),
    );
    const creates = made.map((name) => {
      const own = (columns.get(name) ?? []).map(
        (column) => `    "${column}" ${this.#one(types)}${this.#random(2) === 0 ? ' NOT NULL' : ''},`,
      );
      return [
        `-- CreateTable\nCREATE TABLE "${name}" (`,
        '    "id" TEXT NOT NULL,',
        ...own,
        `    "kind" "${label}" NOT NULL DEFAULT 'OPEN',`,
        '    "ownerId" TEXT NOT NULL,',
        '    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,',
        '    "updatedAt" TIMESTAMP(3) NOT NULL,',
        `\n    CONSTRAINT "${name}_pkey" PRIMARY KEY ("id")\n);\n`,
      ].join('\n');
    });
    const indexes = made.map(
      (name) => `-- CreateIndex\nCREATE INDEX "${name}_ownerId_idx" ON "${name}"("ownerId");\n`,
    );
    const keys = made.map(
      (name) =>
        `-- AddForeignKey\nALTER TABLE "${name}" ADD CONSTRAINT "${name}_ownerId_fkey" FOREIGN KEY ("ownerId") REFERENCES "${this.#one([...made, ...this.#tables.map((table) => table.name)])}"("id") ON DELETE RESTRICT ON UPDATE CASCADE;\n`,
    );
    for (const name of made) this.#tables.push({ name, columns: columns.get(name) ?? [] });
    const type = `-- CreateEnum\nCREATE TYPE "${label}" AS ENUM ('OPEN', 'CLOSED');\n`;
    return [type, ...creates, ...indexes, ...keys].join('\n');
  }

  #change(): string {
    const table = this.#one(this.#tables);
    const column = this.#one(table.columns);
    const made = this.#name(this.#one(words));
    const alter = `-- AlterTable\nALTER TABLE "${table.name}"`;
    switch (this.#random(14)) {
      case 0:
      case 1:
      case 2:
        table.columns.push(made);
        return `${alter} ADD COLUMN     "${made}" ${this.#one(types)};\n`;
      case 3:
        table.columns.push(made);
        return `${alter} ADD COLUMN     "${made}" BOOLEAN NOT NULL DEFAULT false;\n`;
      case 4:
        table.columns.push(made);
        return `/*\n  Warnings:\n\n  - Added the required column \`${made}\` to the \`${table.name}\` table without a default value. This is not possible if the table is not empty.\n\n*/\n${alter} ADD COLUMN     "${made}" TEXT NOT NULL;\n`;
      case 5:
        if (table.columns.length < 3)
          return `${alter} ALTER COLUMN "updatedAt" SET DEFAULT CURRENT_TIMESTAMP;\n`;
        table.columns.splice(table.columns.indexOf(column), 1);
        return `/*\n  Warnings:\n\n  - You are about to drop the column \`${column}\` on the \`${table.name}\` table. All the data in the column will be lost.\n\n*/\n${alter} DROP COLUMN "${column}";\n`;
      case 6:
      case 7:
        return `-- CreateIndex\nCREATE INDEX "${table.name}_${made}_idx" ON "${table.name}"("${column}", "createdAt" DESC);\n`;
      case 8:
        return `-- CreateIndex\nCREATE UNIQUE INDEX "${table.name}_${made}_key" ON "${table.name}"("${column}");\n`;
      case 9:
        table.columns.push(made);
        return `${alter} ADD COLUMN     "${made}Id" TEXT;\n\n-- AddForeignKey\nALTER TABLE "${table.name}" ADD CONSTRAINT "${table.name}_${made}Id_fkey" FOREIGN KEY ("${made}Id") REFERENCES "${this.#one(this.#tables).name}"("id") ON DELETE SET NULL ON UPDATE CASCADE;\n`;
      case 10: {
        const type = this.#one(this.#enums);
        type.labels.push(made.toUpperCase());
        return `-- AlterEnum\nALTER TYPE "${type.name}" ADD VALUE '${made.toUpperCase()}';\n`;
      }
      case 11:
        return `UPDATE "${table.name}" SET "${column}" = NULL WHERE "createdAt" < now() - INTERVAL '30 days';\n`;
      case 12:
        return `${alter} ALTER COLUMN "${column}" DROP NOT NULL,\nALTER COLUMN "${column}" SET DATA TYPE TEXT;\n`;
      default:
        return `-- DropIndex\nDROP INDEX IF EXISTS "${table.name}_ownerId_idx";\n`;
    }
  }
}

/** A folder's migrations, in the order in which they are applied. */
export function writeMigrations(count: number, seed = 7): WrittenMigration[] {
  const application = new Application(seed);
  const start = Date.UTC(2022, 0, 3, 9);
  return Array.from({ length: count }, (_, index) => {
    const at = new Date(start + index * 5_417_000).toISOString().replace(/\D/g, '').slice(0, 14);
    return { name: `${at}_change_${index}`, sql: application.next() };
  });
}

/** One file of at least so many lines, against what the migrations before it have made. */
export function writeLongMigration(before: number, lines: number, seed = 7): WrittenMigration[] {
  const application = new Application(seed);
  const migrations = Array.from({ length: before }, (_, index) => ({
    name: `2022010309${String(index).padStart(4, '0')}_change`,
    sql: application.next(),
  }));
  let sql = '';
  while (sql.split('\n').length < lines) sql += `${application.next()}\n`;
  return [...migrations, { name: '20230101000000_long', sql }];
}
