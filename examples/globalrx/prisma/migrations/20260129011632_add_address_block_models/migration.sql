-- AlterEnum
ALTER TYPE "RequirementDataType" ADD VALUE 'ADDRESS_BLOCK';

-- CreateTable
CREATE TABLE "address_blocks" (
    "id" TEXT NOT NULL,
    "requirementId" TEXT NOT NULL,
    "locationId" TEXT,
    "customerId" TEXT,
    "component" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "required" BOOLEAN NOT NULL DEFAULT false,
    "placeholder" TEXT,
    "pattern" TEXT,
    "maxLength" INTEGER,
    "position" INTEGER NOT NULL DEFAULT 0,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "address_blocks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "address_entries" (
    "id" TEXT NOT NULL,
    "orderDataId" TEXT NOT NULL,
    "subjectId" TEXT NOT NULL,
    "locationId" TEXT,
    "street1" TEXT,
    "street2" TEXT,
    "city" TEXT,
    "postalCode" TEXT,
    "fromDate" DATE,
    "toDate" DATE,
    "verifiedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "address_entries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "address_blocks_requirementId_locationId_component_key" ON "address_blocks"("requirementId", "locationId", "component");

-- CreateIndex
CREATE UNIQUE INDEX "address_entries_orderDataId_key" ON "address_entries"("orderDataId");

-- CreateIndex
CREATE INDEX "address_entries_subjectId_idx" ON "address_entries"("subjectId");

-- AddForeignKey
ALTER TABLE "address_blocks" ADD CONSTRAINT "address_blocks_requirementId_fkey" FOREIGN KEY ("requirementId") REFERENCES "order_requirements"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "address_blocks" ADD CONSTRAINT "address_blocks_locationId_fkey" FOREIGN KEY ("locationId") REFERENCES "locations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "address_blocks" ADD CONSTRAINT "address_blocks_customerId_fkey" FOREIGN KEY ("customerId") REFERENCES "customers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "address_entries" ADD CONSTRAINT "address_entries_orderDataId_fkey" FOREIGN KEY ("orderDataId") REFERENCES "order_data"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "address_entries" ADD CONSTRAINT "address_entries_subjectId_fkey" FOREIGN KEY ("subjectId") REFERENCES "subjects"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "address_entries" ADD CONSTRAINT "address_entries_locationId_fkey" FOREIGN KEY ("locationId") REFERENCES "locations"("id") ON DELETE SET NULL ON UPDATE CASCADE;
