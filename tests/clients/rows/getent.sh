#: expect
v4: www.example.net
v6: www.example.net
nowhere
#: run
getent ahostsv4 www.example.net | awk '/STREAM/ { print "v4:", $3 }'
# The call without a list of families asks for IPv6 first.
getent hosts www.example.net | awk '{ print ($1 ~ /:/ ? "v6:" : "not v6:"), $2 }'
getent hosts nowhere.example.net || echo nowhere
