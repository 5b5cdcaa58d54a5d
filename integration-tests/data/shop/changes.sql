-- What the captures beside this file hold: every kind of change, and every type that the shop has.
INSERT INTO shop.customers VALUES
  (1, 'ann', 'de', true, '{a,NULL,"b c"}', '{"a": [1, 2.50]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-01-02 03:04:05.123456+02'),
  (2, 'bob', NULL, false, NULL, NULL, NULL, '1969-12-31 23:59:59Z');
INSERT INTO shop.products VALUES
  ('p-1', 12.34, 1.5, 1234567890.123456789, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 80) i), '\xdeadbeef', '2024-02-29'),
  ('p-2', -0.01, 'NaN', NULL, NULL, NULL, NULL);
INSERT INTO shop.orders VALUES
  (10, 1, 'p-1', 2, 24.68, 'open', '03:04:05.678901', '2024-03-01 12:00:00.5'),
  (11, 2, NULL, 1, 9999999999.99, 'paid', NULL, '2024-03-02 00:00:00');
UPDATE shop.products SET price = 13.00 WHERE sku = 'p-1';
UPDATE shop.customers SET id = 20, name = 'bobby' WHERE id = 2;
BEGIN;
UPDATE shop.orders SET state = 'sent' WHERE id = 10;
INSERT INTO shop.orders VALUES (12, 1, 'p-2', 1, -0.01, 'open', NULL, '2024-03-03 00:00:00');
COMMIT;
ALTER TABLE shop.orders ADD COLUMN note text DEFAULT 'none';
UPDATE shop.orders SET note = 'gift' WHERE id = 12;
DELETE FROM shop.orders WHERE id = 10;
DELETE FROM shop.customers WHERE id = 1;
