"""What source and target share because both are PostgreSQL: sessions, statistics, hashes."""
