-- AlterTable
ALTER TABLE "bundle" ADD COLUMN "data_migrations" JSONB NOT NULL DEFAULT '[]';
