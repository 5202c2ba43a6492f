/** What a Prisma schema file says its client selects: models with the names that stand in the database. */
export interface PrismaSchema {
  /** By table name in the database. */
  readonly models: ReadonlyMap<string, PrismaModel>;
}

export interface PrismaModel {
  readonly model: string;
  /** By column name in the database: the field. */
  readonly columns: ReadonlyMap<string, string>;
}

/**
 * Reads the models of a schema file. Tolerant: what it does not understand it passes over. Fields whose type is a
 * model are relations and no columns.
 */
export function readPrismaSchema(text: string): PrismaSchema {
  const blocks = [...text.matchAll(/^[ \t]*(model|view)[ \t]+(\w+)[ \t]*\{([\s\S]*?)^[ \t]*\}/gm)].map(
    ([, , name = '', body = '']) => ({ name, body }),
  );
  const modelNames = new Set(blocks.map(({ name }) => name));
  return {
    models: new Map(
      blocks.map(({ name, body }) => [
        /^[ \t]*@@map\((?:name:[ \t]*)?"([^"]+)"/m.exec(body)?.[1] ?? name,
        { model: name, columns: columnsOf(body, modelNames) },
      ]),
    ),
  };
}

function columnsOf(body: string, modelNames: ReadonlySet<string>): Map<string, string> {
  const columns = new Map<string, string>();
  for (const line of body.split('\n')) {
    const field = /^[ \t]*(\w+)[ \t]+(\w+)/.exec(line);
    const [, name, type] = field ?? [];
    if (name === undefined || type === undefined || modelNames.has(type)) continue;
    // @ignore: the client does not know the field.
    if (/@ignore\b/.test(line)) continue;
    columns.set(/@map\((?:name:[ \t]*)?"([^"]+)"/.exec(line)?.[1] ?? name, name);
  }
  return columns;
}
