-- The results with shards, as medians, in Markdown.
SELECT bench.head('clients', 'direct', 'PL/Proxy, 1 shard', '2 shards', '1 shard : direct', '2 shards : direct');
SELECT bench.row(format('%s: %s', item, what), round(direct)::text, round(one)::text, round(two)::text,
                 round(one / direct, 2)::text, round(two / direct, 2)::text)
FROM (SELECT item, what, place, bench.m(section, item, 'direct') AS direct,
             bench.m(section, item, 'router1') AS one, bench.m(section, item, 'router2') AS two
      FROM unnest('{1,8}'::text[]) AS item,
          (VALUES (1, 'shards latency', 'µs per call'), (2, 'shards calls', 'calls per second'),
                  (3, 'shards CPU', 'µs of CPU per call')) AS s (place, section, what)) AS m
ORDER BY item, place;
