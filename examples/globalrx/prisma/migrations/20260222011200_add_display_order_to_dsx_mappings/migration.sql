-- AlterTable
ALTER TABLE "dsx_mappings" ADD COLUMN     "displayOrder" INTEGER NOT NULL DEFAULT 0;
