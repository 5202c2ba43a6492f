-- CreateTable
CREATE TABLE "flag" (
    "id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "owner_kind" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'off',
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "changed_by" TEXT NOT NULL,

    CONSTRAINT "flag_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "flag_change" (
    "number" SERIAL NOT NULL,
    "flag_id" UUID NOT NULL,
    "database" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "by" TEXT NOT NULL,

    CONSTRAINT "flag_change_pkey" PRIMARY KEY ("number")
);

-- CreateIndex
CREATE UNIQUE INDEX "flag_key_database_key" ON "flag"("key", "database");

-- CreateIndex
CREATE INDEX "flag_change_flag_id_idx" ON "flag_change"("flag_id");

-- AddForeignKey
ALTER TABLE "flag_change" ADD CONSTRAINT "flag_change_flag_id_fkey" FOREIGN KEY ("flag_id") REFERENCES "flag"("id") ON DELETE CASCADE ON UPDATE CASCADE;
