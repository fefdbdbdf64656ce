#: expect
wal
500500
#: run
sqlite3 d.db <<'X'
pragma journal_mode = wal;
create table t(n integer primary key, s text);
with recursive c(n) as (values(1) union all select n + 1 from c where n < 1000) insert into t select n, 'row ' || n from c;
select sum(n) from t;
create virtual table f using fts5(s); insert into f select s from t; select count(*) from f where f match '77';
begin immediate; update t set s = upper(s) where n < 3; commit;
select s from t limit 3;
vacuum; pragma integrity_check;
X
for i in 1 2 3 4; do sqlite3 -cmd '.timeout 20000' d.db "insert into t(s) values('from another')" & done; wait
sqlite3 d.db "select count(*) from t where s = 'from another'" '.dump t' | tail -n 3
