-- CreateTable
CREATE TABLE "expected_schema" (
    "database" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "facts" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "expected_schema_pkey" PRIMARY KEY ("database", "key")
);
