import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const dockerfile = readFileSync(path.join(root, 'Dockerfile'), 'utf8');
const compose = readFileSync(path.join(root, 'docker-compose.yml'), 'utf8');

const secrets = { POSTGRES_PASSWORD: 'pw', TOKEN_SHA256: '0'.repeat(64) };

function dockerCompose(args: readonly string[], env: Record<string, string> = secrets) {
  return spawnSync('docker-compose', [...args], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...env },
  });
}

describe('the image', () => {
  it("has client programs of the major of docker-compose's server", () => {
    const [, client] = /^FROM postgres:(\d+)-bookworm$/m.exec(dockerfile) ?? [];
    const [, server] = /^\s+image: postgres:(\d+)-bookworm$/m.exec(compose) ?? [];
    expect(client).toMatch(/^\d+$/);
    expect(client).toBe(server);
  });

  it('does not run as root, and stops by SIGTERM', () => {
    const final = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(final).toMatch(/^USER switchback$/m);
    expect(final).toMatch(/^STOPSIGNAL SIGTERM$/m);
    expect(final).toMatch(/^HEALTHCHECK /m);
  });

  it('copies only what the context holds', () => {
    const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    expect(copied.filter((name) => !ignored.includes(`!${name}`))).toEqual([]);
  });
});

describe.skipIf(!process.env.CI && dockerCompose(['version']).error !== undefined)(
  'docker-compose.yml, read by docker-compose',
  () => {
    it('is valid, and has the API, two workers, PostgreSQL and Valkey', () => {
      const { status, stdout, stderr } = dockerCompose(['config', '--services']);
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(stdout.trim().split('\n').sort()).toEqual(['api', 'postgres', 'valkey', 'worker-1', 'worker-2']);
    });

    it("keeps PostgreSQL 18's data where its image wants it", () => {
      expect(dockerCompose(['config']).stdout).toContain('- postgres:/var/lib/postgresql:rw');
    });

    it.each(Object.keys(secrets))('refuses to start without %s', (name) => {
      const { status, stderr } = dockerCompose(['config', '--quiet'], { ...secrets, [name]: '' });
      expect(status).not.toBe(0);
      expect(stderr).toContain(name);
    });
  },
);
