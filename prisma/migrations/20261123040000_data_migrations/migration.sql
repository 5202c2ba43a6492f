-- CreateTable
CREATE TABLE "data_migration" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "database" TEXT NOT NULL,
    "written_database" TEXT NOT NULL,
    "spec" JSONB NOT NULL,
    "flag" TEXT,
    "control" JSONB NOT NULL,
    "changes" INTEGER NOT NULL DEFAULT 0,
    "paused" BOOLEAN NOT NULL DEFAULT false,
    "cancel_requested_at" TIMESTAMPTZ(3),
    "cancel_requested_by" TEXT,
    "ended" TEXT,
    "progress" JSONB,
    "throttle" JSONB,
    "validation" JSONB,
    "report" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(3),
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "data_migration_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "data_migration_job_id_key" ON "data_migration"("job_id");

-- CreateIndex
CREATE INDEX "data_migration_database_id_idx" ON "data_migration"("database", "id");

-- CreateIndex
CREATE INDEX "data_migration_database_name_id_idx" ON "data_migration"("database", "name", "id");

-- AddForeignKey
ALTER TABLE "data_migration" ADD CONSTRAINT "data_migration_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "data_migration" ADD CONSTRAINT "data_migration_ended_check" CHECK ("ended" IN ('finished', 'cancelled'));

-- What may run for days has a queue of its own.
ALTER TABLE "job" DROP CONSTRAINT "job_queue_check";
ALTER TABLE "job" ADD CONSTRAINT "job_queue_check" CHECK ("queue" IN ('operations', 'data-migrations', 'signals'));
