-- The shop of the tests: keys, foreign keys that follow changes of keys, and a column that PostgreSQL stores apart (TOAST).
CREATE SCHEMA shop;
CREATE TYPE shop.status AS ENUM ('open', 'paid', 'sent');
CREATE TABLE shop.customers (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  country text DEFAULT 'xx',
  active boolean NOT NULL DEFAULT true,
  tags text[],
  profile jsonb,
  token uuid,
  created_at timestamptz NOT NULL
);
CREATE TABLE shop.products (
  sku text PRIMARY KEY,
  price numeric(10, 2) NOT NULL,
  weight double precision,
  cost numeric,
  description text,
  picture bytea,
  since date
);
ALTER TABLE shop.products ALTER COLUMN description SET STORAGE EXTERNAL;
CREATE TABLE shop.orders (
  id bigint PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES shop.customers ON UPDATE CASCADE ON DELETE CASCADE,
  sku text REFERENCES shop.products ON UPDATE CASCADE,
  quantity integer NOT NULL,
  amount numeric(12, 2) NOT NULL,
  state shop.status NOT NULL DEFAULT 'open',
  picked time,
  ordered_at timestamp NOT NULL
);
