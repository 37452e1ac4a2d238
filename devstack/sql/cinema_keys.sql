-- Makes the same uuid (version 3 form: of an MD5) of the same name, in every database.
CREATE FUNCTION pg_temp.key(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT overlay(overlay(md5(name) PLACING '3' FROM 13) PLACING '8' FROM 17)::uuid $$;
