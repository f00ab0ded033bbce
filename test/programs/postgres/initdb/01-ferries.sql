CREATE TABLE ferries (id serial PRIMARY KEY, name text NOT NULL, seats integer NOT NULL);
INSERT INTO ferries (name, seats) VALUES ('north', 120), ('south', 80);
