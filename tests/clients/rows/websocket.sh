#: expect
www.example.net heard one
www.example.net heard three
closed 1000
#: run
"$DEPS/venv/bin/python" - <<'X'
import aiohttp, asyncio, os
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.ws_connect(os.environ["TLS"].replace("https", "wss") + "/socket") as socket:
            for word in ("one", "two", "three"):
                await socket.send_str(word)
                print((await socket.receive()).data)
                await asyncio.sleep(0.2)
            await socket.close()
            print("closed", socket.close_code)
asyncio.run(main())
X
