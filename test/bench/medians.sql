-- The results, as medians, and what makes Markdown of them.
-- Variable: results (the file to read).
CREATE TABLE bench.results (section text, item text, contestant text, value float8);
\set copy '\\copy bench.results FROM ' :results
:copy
CREATE VIEW bench.median AS
    SELECT section, item, contestant, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS value
    FROM bench.results GROUP BY section, item, contestant;
-- A median; an error when nothing was measured.
CREATE FUNCTION bench.m(section text, item text, contestant text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    found numeric;
BEGIN
    SELECT value INTO STRICT found FROM bench.median AS r WHERE (r.section, r.item, r.contestant) = ($1, $2, $3);
    RETURN found;
EXCEPTION WHEN no_data_found THEN
    RAISE 'not measured: %, %, %', section, item, contestant;
END $$;
CREATE FUNCTION bench.row(VARIADIC cells text[]) RETURNS text LANGUAGE sql
    RETURN '| ' || array_to_string(cells, ' | ', '') || ' |';
CREATE FUNCTION bench.head(VARIADIC cells text[]) RETURNS text LANGUAGE sql
    RETURN E'\n' || bench.row(VARIADIC cells) || E'\n|---' || repeat('|---:', cardinality(cells) - 1) || '|';

SELECT bench.row('PostgreSQL', current_setting('server_version') || ', contact_block ' || extversion)
FROM pg_extension WHERE extname = 'contact_block';
