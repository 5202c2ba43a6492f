-- The order of display belongs to the mapping: a requirement stands elsewhere in another service's form.
ALTER TABLE "dsx_mappings" ADD COLUMN IF NOT EXISTS "displayOrder" INTEGER NOT NULL DEFAULT 0;
UPDATE "dsx_mappings" SET "displayOrder" = r."displayOrder" FROM "order_requirements" AS r WHERE r."id" = "dsx_mappings"."requirementId";
ALTER TABLE "order_requirements" DROP COLUMN "displayOrder";
