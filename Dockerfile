# Switchback: one image for the API and the workers; the command says which.

FROM node:22-bookworm-slim AS build
WORKDIR /switchback
COPY package.json package-lock.json ./
COPY scripts ./scripts
RUN npm ci --ignore-scripts
COPY prisma ./prisma
COPY prisma.config.ts tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN node scripts/generate-client.mjs && npm run build

FROM node:22-bookworm-slim AS packages
WORKDIR /switchback
COPY package.json package-lock.json ./
# The optional packages are the embedded PostgreSQL servers: this image uses a real one.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

# The base is PostgreSQL's official image, not Node's: pg_dump must not be older than the server that it backs up
# (Debian's own is 15), and here it comes with the libraries that it was built against. Node is one file. The major
# is the one of docker-compose.yml's server; a test compares the two. Older servers are served as well.
FROM postgres:18-bookworm
COPY --from=node:22-bookworm-slim /usr/local/bin/node /usr/local/bin/node
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/switchback switchback \
  && install -d -o switchback -g switchback -m 0700 /var/lib/switchback/backups
WORKDIR /switchback
COPY --from=packages /switchback/node_modules ./node_modules
COPY --from=build /switchback/dist ./dist
COPY package.json ./
COPY prisma ./prisma
ENV NODE_ENV=production \
  SWITCHBACK_HOST=0.0.0.0 \
  SWITCHBACK_PORT=7410 \
  SWITCHBACK_DATA_DIRECTORY=/var/lib/switchback \
  SWITCHBACK_CONFIG=/etc/switchback/switchback.config.json
USER switchback
EXPOSE 7410
# What the base sets for its server does not fit: its entry point makes a cluster, its signal is SIGINT.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SWITCHBACK_PORT}/api/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "dist/main.js"]
CMD ["serve"]
