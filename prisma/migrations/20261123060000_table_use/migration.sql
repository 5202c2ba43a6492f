-- AlterTable
ALTER TABLE "deployment" ADD COLUMN "touches" JSONB;

-- AlterTable
ALTER TABLE "data_migration" ADD COLUMN "tables" JSONB;
