#: expect
data: www.example.net says 0
data: www.example.net says 5
#: run
# The server goes on when it hears that the first has come.
curl -sSfN "$TLS/events" | while read -r line; do
    echo "$line"
    if [ "$line" = "id: 0" ]; then curl -sSf "$TLS/seen"; fi
done
