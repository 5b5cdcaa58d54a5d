#!/usr/bin/env bash
# A few changes each second, of every kind. The database may go away for a while.

readonly CHANGES="
INSERT INTO orders (customer_id, amount, ordered_at)
  SELECT id, round((5 + random() * 95)::numeric, 2), now() AT TIME ZONE 'UTC'
  FROM customers WHERE active ORDER BY random() LIMIT 3;
UPDATE orders SET state = 'sent'
  WHERE id IN (SELECT id FROM orders WHERE state = 'open' ORDER BY id LIMIT 2);
DELETE FROM orders
  WHERE random() < 0.2 AND id = (SELECT id FROM orders WHERE state = 'open' ORDER BY random() LIMIT 1);
INSERT INTO customers (country, created_at) SELECT 'it', now() WHERE random() < 0.1;
UPDATE customers SET active = NOT active
  WHERE random() < 0.1 AND id = (SELECT id FROM customers ORDER BY random() LIMIT 1);
"

while true; do
  psql --quiet --no-psqlrc --command "$CHANGES" || echo "load: trying again"
  sleep 1
done
