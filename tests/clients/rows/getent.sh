#: expect
v4: www.example.net
v6: www.example.net
#: run
getent ahostsv4 www.example.net | awk '/STREAM/ { print "v4:", $3 }'
getent ahostsv6 www.example.net | awk '/STREAM/ { print "v6:", $3 }'
! getent hosts nowhere.example.net
