import { describe, expect, test } from 'vitest';
import { parseTarget } from '../../src/db/target.ts';

describe('parseTarget', () => {
  test("takes Prisma's parameters apart from PostgreSQL's", () => {
    const target = parseTarget(
      'postgresql://app:p%40ss@db.example:6543/orders?schema=sales&connection_limit=5&pool_timeout=2&sslmode=require&connect_timeout=9',
    );
    expect(target).toMatchObject({
      host: 'db.example',
      port: 6543,
      user: 'app',
      database: 'orders',
      schema: 'sales',
      pooled: false,
    });
    expect(target.clientConfig).toMatchObject({ password: 'p@ss', connectionTimeoutMillis: 9000 });
    expect(target.clientConfig.connectionString).not.toMatch(/schema|connection_limit|pool_timeout/);
    expect(target.libpqEnvironment).toEqual({
      PGHOST: 'db.example',
      PGPORT: '6543',
      PGUSER: 'app',
      PGPASSWORD: 'p@ss',
      PGDATABASE: 'orders',
      PGSSLMODE: 'require',
      PGCONNECT_TIMEOUT: '9',
    });
  });

  test('shows neither user nor password', () => {
    expect(parseTarget('postgres://app:secret@db/orders').display).toBe('db:5432/orders');
  });

  test('falls back to plaintext only where the URL does not ask for TLS', () => {
    expect(parseTarget('postgres://db/orders').plaintextFallback).toBe(true);
    expect(parseTarget('postgres://db/orders?sslmode=require').plaintextFallback).toBe(false);
    expect(parseTarget('postgres://db/orders?sslmode=disable').clientConfig.ssl).toBe(false);
  });

  test("verifies the server's certificate with sslaccept=strict, by the root that Prisma calls sslcert", () => {
    const target = parseTarget('postgres://db/orders?sslaccept=strict&sslcert=/etc/root.pem');
    expect(target.clientConfig.connectionString).toContain('sslmode=verify-full');
    expect(target.libpqEnvironment.PGSSLROOTCERT).toBe('/etc/root.pem');
  });

  test('knows a socket folder and a pooler', () => {
    expect(parseTarget('postgres://app@localhost/orders?host=/run/postgresql')).toMatchObject({
      host: '/run/postgresql',
      plaintextFallback: false,
    });
    expect(parseTarget('postgres://app@db/orders?pgbouncer=true').pooled).toBe(true);
  });

  test.each(['', 'orders', 'mysql://db/orders', 'https://db/orders'])('refuses %j', (text) => {
    expect(() => parseTarget(text)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
