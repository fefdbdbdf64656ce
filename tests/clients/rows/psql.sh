#: expect
db.example.net was asked select 1
db.example.net was asked select 2
#: run
psql -At 'host=db.example.net user=alice dbname=x sslmode=disable' -c 'select 1'
psql -At "host=db.example.net user=alice dbname=x sslmode=verify-full sslrootcert=$CA" -c 'select 2'
