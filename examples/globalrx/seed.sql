-- Rows for the state after 20250125_initial, so that the later migrations meet data. Some 10,000, the same every
-- time: ids come from md5, everything else from the row's number.
BEGIN;

INSERT INTO "users" ("id", "email", "passwordHash", "firstName", "lastName", "role", "active", "createdAt", "updatedAt")
SELECT md5('user' || n)::uuid::text, 'user' || n || '@globalrx.example', md5('password' || n), 'First' || n, 'Last' || n,
       (ARRAY['ADMIN', 'OPERATIONS', 'SALES', 'VENDOR'])[n % 4 + 1]::"UserRole", n % 9 <> 0,
       timestamp '2025-01-27 08:00' + n * interval '1 hour', timestamp '2025-01-27 08:00' + n * interval '1 hour'
FROM generate_series(1, 40) AS n;

INSERT INTO "customers" ("id", "code", "name", "status", "contactEmail", "invoiceTermsDays", "parentId", "accountManagerId", "createdAt", "updatedAt")
SELECT md5('customer' || n)::uuid::text, 'C' || lpad(n::text, 5, '0'), 'Customer ' || n || CASE WHEN n % 7 = 0 THEN ' GmbH & Söhne' ELSE ' Inc.' END,
       (ARRAY['ACTIVE', 'ACTIVE', 'ACTIVE', 'ON_HOLD', 'CLOSED'])[n % 5 + 1]::"CustomerStatus", 'orders@customer' || n || '.example',
       (ARRAY[14, 30, 60])[n % 3 + 1], CASE WHEN n > 20 AND n % 4 = 0 THEN md5('customer' || n % 20 + 1)::uuid::text END,
       md5('user' || n % 40 + 1)::uuid::text, timestamp '2025-02-01' + n * interval '3 hours', timestamp '2025-02-01' + n * interval '3 hours'
FROM generate_series(1, 100) AS n;

INSERT INTO "locations" ("id", "type", "name", "code")
SELECT md5('country' || n)::uuid::text, 'COUNTRY', 'Country ' || n, 'L' || lpad(n::text, 2, '0')
FROM generate_series(1, 20) AS n;

INSERT INTO "locations" ("id", "type", "name", "code", "parentId")
SELECT md5('region' || c || '.' || r)::uuid::text, 'REGION', 'Region ' || r || ' of country ' || c, 'R' || lpad(r::text, 2, '0'), md5('country' || c)::uuid::text
FROM generate_series(1, 20) AS c, generate_series(1, 12) AS r;

INSERT INTO "services" ("id", "code", "name", "category", "turnaroundDays", "updatedAt")
SELECT md5('service' || n)::uuid::text, 'S' || lpad(n::text, 3, '0'), 'Check ' || n,
       (ARRAY['CRIMINAL', 'EDUCATION', 'EMPLOYMENT', 'IDENTITY', 'CREDIT', 'SANCTIONS'])[n % 6 + 1]::"ServiceCategory", n % 8 + 2, timestamp '2025-02-01'
FROM generate_series(1, 24) AS n;

INSERT INTO "customer_services" ("customerId", "serviceId", "price", "currency")
SELECT md5('customer' || c)::uuid::text, md5('service' || (c * 5 + s) % 24 + 1)::uuid::text, 15 + (c * s) % 90 + 0.5, (ARRAY['USD', 'EUR'])[c % 2 + 1]
FROM generate_series(1, 100) AS c, generate_series(1, 6) AS s;

INSERT INTO "packages" ("id", "customerId", "name", "updatedAt")
SELECT md5('package' || c || '.' || p)::uuid::text, md5('customer' || c)::uuid::text, (ARRAY['Standard', 'Executive'])[p], timestamp '2025-02-10'
FROM generate_series(1, 100) AS c, generate_series(1, 2) AS p;

INSERT INTO "package_services" ("packageId", "serviceId", "scope")
SELECT md5('package' || c || '.' || p)::uuid::text, md5('service' || (c * 5 + s) % 24 + 1)::uuid::text, jsonb_build_object('years', 3 + s)
FROM generate_series(1, 100) AS c, generate_series(1, 2) AS p, generate_series(1, 2) AS s;

INSERT INTO "subjects" ("id", "customerId", "externalRef", "firstName", "lastName", "dateOfBirth", "email", "createdAt", "updatedAt")
SELECT md5('subject' || n)::uuid::text, md5('customer' || n % 100 + 1)::uuid::text, 'E' || n, (ARRAY['Ana', 'Björn', 'Chloé', 'Dmitri', 'Emeka', '芳'])[n % 6 + 1],
       'Subject' || n, date '1960-01-01' + n * 13, CASE WHEN n % 3 <> 0 THEN 'subject' || n || '@mail.example' END,
       timestamp '2025-03-01' + n * interval '5 hours', timestamp '2025-03-01' + n * interval '5 hours'
FROM generate_series(1, 1100) AS n;

INSERT INTO "orders" ("id", "orderNumber", "customerId", "subjectId", "packageId", "createdById", "status", "totalPrice", "submittedAt", "completedAt", "createdAt", "updatedAt")
SELECT md5('order' || n)::uuid::text, '2025-' || lpad(n::text, 6, '0'), md5('customer' || n % 1100 % 100 + 1)::uuid::text, md5('subject' || n % 1100 + 1)::uuid::text,
       md5('package' || (n % 1100 % 100 + 1) || '.' || n % 2 + 1)::uuid::text, md5('user' || n % 40 + 1)::uuid::text, s.status, 40 + n % 200,
       CASE WHEN s.status <> 'DRAFT' THEN a.at + interval '1 hour' END, CASE WHEN s.status = 'COMPLETED' THEN a.at + interval '4 days' END, a.at, a.at
FROM generate_series(1, 1500) AS n,
     LATERAL (SELECT (ARRAY['DRAFT', 'SUBMITTED', 'PROCESSING', 'COMPLETED', 'COMPLETED', 'MISSING_INFO', 'CANCELLED'])[n % 7 + 1]::"OrderStatus" AS status) AS s,
     LATERAL (SELECT timestamp '2025-04-01' + n * interval '4 hours' AS at) AS a;

INSERT INTO "order_items" ("id", "orderId", "serviceId", "locationId", "status", "price", "createdAt", "updatedAt")
SELECT md5('item' || n || '.' || i)::uuid::text, md5('order' || n)::uuid::text, md5('service' || (n + i * 7) % 24 + 1)::uuid::text, md5('country' || n % 20 + 1)::uuid::text,
       (ARRAY['PENDING', 'IN_PROGRESS', 'CLEAR', 'CONSIDER', 'CANCELLED'])[(n + i) % 5 + 1]::"OrderItemStatus", 20 + n % 100,
       timestamp '2025-04-01' + n * interval '4 hours', timestamp '2025-04-01' + n * interval '4 hours'
FROM generate_series(1, 1500) AS n, generate_series(1, 2) AS i
WHERE i = 1 OR n % 3 = 0;

INSERT INTO "order_requirements" ("id", "code", "label", "type", "dataType", "displayOrder", "updatedAt")
SELECT md5('requirement' || n)::uuid::text, 'requirement_' || n, 'Requirement ' || n, (ARRAY['FIELD', 'FIELD', 'DOCUMENT', 'FORM'])[n % 4 + 1]::"RequirementType",
       (ARRAY['TEXT', 'DATE', 'FILE', 'SELECT'])[n % 4 + 1]::"RequirementDataType", n * 10, timestamp '2025-02-01'
FROM generate_series(1, 36) AS n;

INSERT INTO "dsx_mappings" ("id", "requirementId", "serviceId", "locationId", "required", "updatedAt")
SELECT md5('mapping' || s || '.' || l || '.' || r)::uuid::text, md5('requirement' || (s * 3 + l + r * 11) % 36 + 1)::uuid::text,
       md5('service' || s)::uuid::text, md5('country' || l)::uuid::text, r = 1, timestamp '2025-02-01'
FROM generate_series(1, 24) AS s, generate_series(1, 20) AS l, generate_series(1, 2) AS r;

INSERT INTO "order_data" ("id", "orderItemId", "requirementId", "value", "updatedAt")
SELECT md5(i."id" || m."requirementId")::uuid::text, i."id", m."requirementId", 'Answer of ' || i."id", i."updatedAt"
FROM "order_items" AS i JOIN "dsx_mappings" AS m USING ("serviceId", "locationId")
WHERE m."required";

INSERT INTO "order_status_history" ("id", "orderId", "from", "to", "changedById", "changedAt")
SELECT md5('history' || "orderNumber")::uuid::text, "id", 'DRAFT', 'SUBMITTED', "createdById", "submittedAt"
FROM "orders"
WHERE "submittedAt" IS NOT NULL;

INSERT INTO "audit_log" ("userId", "entity", "entityId", "action", "changes", "at")
SELECT "createdById", 'order', "id", 'complete', jsonb_build_object('status', jsonb_build_array('PROCESSING', 'COMPLETED')), "completedAt"
FROM "orders"
WHERE "completedAt" IS NOT NULL
ORDER BY "orderNumber";

COMMIT;
