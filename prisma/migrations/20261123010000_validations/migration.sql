-- CreateTable
CREATE TABLE "validation" (
    "id" UUID NOT NULL,
    "job_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "source_database" TEXT NOT NULL,
    "outcome" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requested_by" TEXT NOT NULL,

    CONSTRAINT "validation_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "validation_job_id_key" ON "validation"("job_id");

-- CreateIndex
CREATE INDEX "validation_database_id_idx" ON "validation"("database", "id");

-- AddForeignKey
ALTER TABLE "validation" ADD CONSTRAINT "validation_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "job"("id") ON DELETE CASCADE ON UPDATE CASCADE;
