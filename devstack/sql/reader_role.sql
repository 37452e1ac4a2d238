-- For psql, with the variable `password`: the role that pipelines read with. The cinema's tables grant SELECT to every role.
CREATE ROLE reader LOGIN PASSWORD :'password';
