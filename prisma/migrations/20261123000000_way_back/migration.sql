-- CreateTable
CREATE TABLE "rollback" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "deployment_id" UUID,
    "backup_id" UUID,
    "plan" JSONB,
    "report" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "rollback_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rollback_test" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "bundle_id" TEXT,
    "outcome" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "rollback_test_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "way_back" (
    "id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "migration" TEXT NOT NULL,
    "checksum" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "sql" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "proven_on" TEXT,
    "reasons" JSONB NOT NULL,
    "compared" JSONB,
    "deployment_id" UUID,
    "job_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "way_back_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "rollback_job_id_key" ON "rollback"("job_id");

-- CreateIndex
CREATE INDEX "rollback_database_id_idx" ON "rollback"("database", "id");

-- CreateIndex
CREATE UNIQUE INDEX "rollback_test_job_id_key" ON "rollback_test"("job_id");

-- CreateIndex
CREATE INDEX "rollback_test_database_id_idx" ON "rollback_test"("database", "id");

-- CreateIndex
CREATE INDEX "way_back_database_migration_checksum_id_idx" ON "way_back"("database", "migration", "checksum", "id");

-- AddForeignKey
ALTER TABLE "rollback" ADD CONSTRAINT "rollback_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollback_test" ADD CONSTRAINT "rollback_test_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;
