#: expect
A found
AAAA found
"this is www.example.net"
"this is db.example.net"
NXDOMAIN
#: run
[ -n "$(dig +short A www.example.net)" ] && echo A found
[ -n "$(dig +short AAAA www.example.net)" ] && echo AAAA found
dig +short TXT www.example.net
dig +tcp +short TXT db.example.net
dig nowhere.example.net | grep -o 'status: [A-Z]*'
