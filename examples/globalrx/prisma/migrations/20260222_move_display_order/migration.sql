-- The order of display belongs to a mapping: the same requirement stands elsewhere in another service's form.
UPDATE "dsx_mappings" SET "displayOrder" = r."displayOrder" FROM "order_requirements" AS r WHERE r."id" = "dsx_mappings"."requirementId";

ALTER TABLE "order_requirements" DROP COLUMN "displayOrder";
