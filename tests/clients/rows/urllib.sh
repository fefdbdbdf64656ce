#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
python3 - <<'X'
import os, urllib.request
for url in (os.environ["HTTP"], os.environ["TLS"]):
    print(urllib.request.urlopen(url + "/hello").read().decode())
X
