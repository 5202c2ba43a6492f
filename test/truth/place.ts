/** The database in which a folder is executed, with a copy to go back to. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';

export class Place {
  readonly #server: string;
  readonly #admin: pg.Client;
  readonly #name = `truth_${randomUUID().replaceAll('-', '')}`;
  #client: pg.Client;

  private constructor(server: string, admin: pg.Client) {
    this.#server = server;
    this.#admin = admin;
    this.#client = admin;
  }

  /** A new database on the server; the URL is a superuser's. */
  static async open(server: string): Promise<Place> {
    const place = new Place(server, await connect(server));
    await place.#admin.query(`create database ${place.#name} template template0`);
    await place.#enter();
    return place;
  }

  get client(): pg.Client {
    return this.#client;
  }

  get #copy(): string {
    return `${this.#name}_copy`;
  }

  /** Copies the database as it is now. */
  async remember(): Promise<void> {
    await this.#leave();
    await this.#admin.query(`create database ${this.#copy} template ${this.#name}`);
    await this.#enter();
  }

  async goBack(): Promise<void> {
    await this.#leave();
    await this.#admin.query(`drop database ${this.#name} with (force)`);
    await this.#admin.query(`create database ${this.#name} template ${this.#copy}`);
    await this.#enter();
  }

  async forget(): Promise<void> {
    await this.#admin.query(`drop database if exists ${this.#copy} with (force)`);
  }

  async close(): Promise<void> {
    await this.#leave();
    await this.forget();
    await this.#admin.query(`drop database if exists ${this.#name} with (force)`);
    await this.#admin.end();
  }

  async #enter(): Promise<void> {
    const url = new URL(this.#server);
    url.pathname = `/${this.#name}`;
    this.#client = await connect(url.href);
    // A file that waits for something that never comes must not keep all others waiting.
    await this.#client.query("set statement_timeout = '60s'");
  }

  async #leave(): Promise<void> {
    if (this.#client !== this.#admin) await this.#client.end();
    this.#client = this.#admin;
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'switchback:truth' });
  await client.connect();
  return client;
}
