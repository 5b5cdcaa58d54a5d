WITH tables AS (
  SELECT c.oid, c.relname, c.relreplident, c.relkind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = :'schema' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND has_table_privilege(c.oid, 'SELECT')
),
names AS (
  SELECT attrelid, attnum, attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped
),
base AS (
  -- A domain is what it is made of.
  SELECT t.oid, CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END AS typname,
    CASE WHEN t.typtype = 'd' THEN b.typcategory ELSE t.typcategory END AS typcategory,
    CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE -1 END AS typtypmod
  FROM pg_type t LEFT JOIN pg_type b ON b.oid = t.typbasetype
)
SELECT json_build_object(
  'database', current_database(),
  'host', host(inet_server_addr()),
  'port', inet_server_port(),
  'user', current_user,
  'wal_level', current_setting('wal_level'),
  'schema', :'schema',
  'tables', coalesce((
    SELECT json_agg(json_build_object(
      'name', t.relname,
      'identity', t.relreplident,
      'partitioned', t.relkind = 'p',
      'columns', (
        SELECT json_agg(json_build_object(
          'name', a.attname, 'type', b.typname, 'kind', b.typcategory,
          'shown', format_type(a.atttypid, a.atttypmod),
          'modifier', CASE WHEN a.atttypmod = -1 THEN b.typtypmod ELSE a.atttypmod END,
          'nullable', NOT a.attnotnull, 'has_default', a.atthasdef
        ) ORDER BY a.attnum)
        FROM pg_attribute a JOIN base b ON b.oid = a.atttypid
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'key', coalesce((
        SELECT json_agg(names.attname ORDER BY k.place)
        FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY k(attnum, place), names
        WHERE p.conrelid = t.oid AND p.contype = 'p' AND names.attrelid = t.oid AND names.attnum = k.attnum
      ), '[]'),
      'foreign_keys', coalesce((
        SELECT json_agg(json_build_object(
          'columns', (
            SELECT json_agg(names.attname ORDER BY k.place)
            FROM unnest(f.conkey) WITH ORDINALITY k(attnum, place), names
            WHERE names.attrelid = f.conrelid AND names.attnum = k.attnum
          ),
          'parent', parent.relname,
          'parent_columns', (
            SELECT json_agg(names.attname ORDER BY k.place)
            FROM unnest(f.confkey) WITH ORDINALITY k(attnum, place), names
            WHERE names.attrelid = f.confrelid AND names.attnum = k.attnum
          )
        ) ORDER BY f.conname)
        FROM pg_constraint f JOIN tables parent ON parent.oid = f.confrelid
        WHERE f.conrelid = t.oid AND f.contype = 'f' AND f.conparentid = 0
      ), '[]')
    ) ORDER BY t.relname)
    FROM tables t
  ), '[]')
);
