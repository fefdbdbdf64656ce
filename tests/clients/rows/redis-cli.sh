#: expect
cache.example.net pongs
a value
#: run
redis-cli -h cache.example.net ping
printf 'set a "a value"\nget a\n' | redis-cli -h cache.example.net
