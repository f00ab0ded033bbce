create table guests (name text);
insert into guests values ('first');
