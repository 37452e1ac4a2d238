-- What one would ask both sides by hand to find keys that only one of them has: 2,048 neighbouring keys make a bucket.
SELECT id >> 11, count(*), bit_xor(hashint8extended(id, 0)) FROM {table} GROUP BY 1
