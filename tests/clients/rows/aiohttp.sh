#: expect
www.example.net answers www.example.net, plain
www.example.net answers www.example.net, tls
#: run
"$DEPS/venv/bin/python" - <<'X'
import aiohttp, asyncio, os
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        for url in (os.environ["HTTP"], os.environ["TLS"]):
            async with session.get(url + "/hello") as answer:
                print(await answer.text())
asyncio.run(main())
X
