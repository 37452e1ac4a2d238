"""The judge: random tables, writes, transactions, crashes and cycles on real servers; after quiet every row is compared."""
