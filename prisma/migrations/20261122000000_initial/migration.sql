-- CreateTable
CREATE TABLE "job" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "queue" TEXT NOT NULL,
    "database" TEXT,
    "exclusive" BOOLEAN NOT NULL DEFAULT false,
    "state" TEXT NOT NULL DEFAULT 'queued',
    "payload" JSONB NOT NULL,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "requested_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "due_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),
    "heartbeat_at" TIMESTAMPTZ(3),
    "worker" TEXT,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "cancel_requested_by" TEXT,
    "overdue_told_at" TIMESTAMPTZ(3),
    "step" TEXT,
    "percent" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "last_event" INTEGER NOT NULL DEFAULT 0,
    "result" JSONB,
    "error" JSONB,

    CONSTRAINT "job_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "job_event" (
    "job_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "type" TEXT NOT NULL,
    "body" JSONB NOT NULL,

    CONSTRAINT "job_event_pkey" PRIMARY KEY ("job_id","number")
);

-- CreateTable
CREATE TABLE "bundle" (
    "id" TEXT NOT NULL,
    "archive" BYTEA NOT NULL,
    "migrations" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "bundle_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "plan" (
    "id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "bundle_id" TEXT,
    "fingerprint" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "plan_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "deployment" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "bundle_id" TEXT,
    "backup_id" UUID,
    "plan" JSONB,
    "report" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "deployment_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "backup" (
    "id" UUID NOT NULL,
    "job_id" UUID,
    "database" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "key" TEXT,
    "bytes" BIGINT,
    "sha256" TEXT,
    "duration_ms" INTEGER,
    "manifest" JSONB,
    "error" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "verified_at" TIMESTAMPTZ(3),
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "backup_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "health_check" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "outcome" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMPTZ(3),
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "health_check_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "recovery" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "migration" TEXT,
    "outcome" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "recovery_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "alert" (
    "id" UUID NOT NULL,
    "condition" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "database" TEXT,
    "job_id" UUID,
    "title" TEXT NOT NULL,
    "body" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "alert_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "delivery" (
    "id" UUID NOT NULL,
    "alert_id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "sink" TEXT NOT NULL,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "delivery_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "token" TEXT NOT NULL,
    "route" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "body_sha256" TEXT NOT NULL,
    "status" INTEGER,
    "headers" JSONB,
    "response" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("token","route","key")
);

-- CreateIndex
CREATE INDEX "job_state_heartbeat_at_idx" ON "job"("state", "heartbeat_at");

-- CreateIndex
CREATE INDEX "job_database_created_at_idx" ON "job"("database", "created_at");

-- CreateIndex
CREATE INDEX "plan_database_id_idx" ON "plan"("database", "id");

-- CreateIndex
CREATE UNIQUE INDEX "deployment_job_id_key" ON "deployment"("job_id");

-- CreateIndex
CREATE INDEX "deployment_database_id_idx" ON "deployment"("database", "id");

-- CreateIndex
CREATE UNIQUE INDEX "backup_job_id_key" ON "backup"("job_id");

-- CreateIndex
CREATE INDEX "backup_database_state_verified_at_idx" ON "backup"("database", "state", "verified_at");

-- CreateIndex
CREATE UNIQUE INDEX "health_check_job_id_key" ON "health_check"("job_id");

-- CreateIndex
CREATE INDEX "health_check_finished_at_idx" ON "health_check"("finished_at");

-- CreateIndex
CREATE UNIQUE INDEX "recovery_job_id_key" ON "recovery"("job_id");

-- CreateIndex
CREATE INDEX "recovery_database_id_idx" ON "recovery"("database", "id");

-- CreateIndex
CREATE UNIQUE INDEX "delivery_job_id_key" ON "delivery"("job_id");

-- CreateIndex
CREATE INDEX "delivery_alert_id_idx" ON "delivery"("alert_id");

-- CreateIndex
CREATE INDEX "idempotency_key_created_at_idx" ON "idempotency_key"("created_at");

-- AddForeignKey
ALTER TABLE "job_event" ADD CONSTRAINT "job_event_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deployment" ADD CONSTRAINT "deployment_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "backup" ADD CONSTRAINT "backup_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "health_check" ADD CONSTRAINT "health_check_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "recovery" ADD CONSTRAINT "recovery_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_alert_id_fkey" FOREIGN KEY ("alert_id") REFERENCES "alert"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "delivery" ADD CONSTRAINT "delivery_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;


-- One exclusive job per database: the database decides, not a read before a write.
CREATE UNIQUE INDEX "job_exclusive_key" ON "job"("database") WHERE "exclusive" AND "state" IN ('queued', 'running');

-- What the repair pass looks for.
CREATE INDEX "job_unfinished_idx" ON "job"("state", "due_at") WHERE "state" IN ('queued', 'running', 'paused');

ALTER TABLE "job" ADD CONSTRAINT "job_state_check"
    CHECK ("state" IN ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'));
ALTER TABLE "job" ADD CONSTRAINT "job_queue_check" CHECK ("queue" IN ('operations', 'signals'));
ALTER TABLE "backup" ADD CONSTRAINT "backup_state_check" CHECK ("state" IN ('creating', 'verified', 'failed'));
