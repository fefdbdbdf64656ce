#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
export REQUESTS_CA_BUNDLE=$CA
"$DEPS/venv/bin/python" - <<'X'
import os, requests
for url in (os.environ["HTTP"], os.environ["TLS"]):
    print(requests.get(url + "/hello").text)
X
