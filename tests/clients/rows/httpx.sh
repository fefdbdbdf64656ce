#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
asynchronous: www.example.net answers www.example.net, tls
#: run
export SSL_CERT_FILE=$CA
"$DEPS/venv/bin/python" - <<'X'
import asyncio, httpx, os
for url in (os.environ["HTTP"], os.environ["TLS"]):
    print(httpx.get(url + "/hello").text)
async def main():
    async with httpx.AsyncClient() as client:
        print("asynchronous:", (await client.get(os.environ["TLS"] + "/hello")).text)
asyncio.run(main())
X
