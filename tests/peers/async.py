# SPDX-License-Identifier: MIT
"""The routes of servers.lua in aiohttp (asyncio). Prints: the plain port, the TLS port.

    async.py KEY CERT FOLDER
"""
import asyncio
import os
import socket
import ssl
import struct
import sys

from aiohttp import web

KEY, CERT, FOLDER = sys.argv[1:]
TOLD = ["host", "x-probe", "user-agent", "accept-encoding", "via", "authorization", "proxy-authorization"]
store = {}


async def anything(request):
    lines = [f"{request.method} {request.raw_path}\n"] + [f"{name}: {request.headers.get(name, '')}\n" for name in TOLD]
    return web.Response(text="".join(lines))


async def status(request):
    return web.Response(status=int(request.match_info["arg"]))


async def redirect(request):
    return web.Response(status=int(request.match_info["arg"]), headers={"Location": "/anything"}, text="moved")


async def redirect_to(request):
    raise web.HTTPFound(request.query["url"])


async def cookies(request):
    return web.Response(text=request.headers.get("Cookie", ""))


async def set_cookies(_):
    answer = web.Response(status=302, headers={"Location": "/cookies"})
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2", httponly=True)
    return answer


def coded(coding, name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        body = file.read()

    async def handler(_):
        return web.Response(body=body, headers={"Content-Encoding": coding})
    return handler


async def chunked(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    for piece in (b"one ", b"two ", b"three"):
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def drip(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(10):
        await answer.write(b"drop by 10")
        await asyncio.sleep(0.005)
    return answer


async def some_bytes(request):
    size = int(request.match_info["arg"])
    body = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    wanted = request.http_range
    if wanted.start is None:
        return web.Response(body=body, content_type="application/octet-stream")
    if wanted.start >= size:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    part = body[wanted]
    span = f"bytes {wanted.start}-{wanted.start + len(part) - 1}/{size}"
    return web.Response(status=206, body=part, headers={"Content-Range": span})


def guarded(wanted, challenge):
    async def handler(request):
        if request.headers.get("Authorization") == wanted:
            return web.Response(text="in")
        return web.Response(status=401, text="out", headers={"WWW-Authenticate": challenge})
    return handler


async def keep(request):
    name = request.match_info["arg"]
    if request.method == "PUT":
        store[name] = await request.read()
        return web.Response(status=201)
    if name not in store:
        return web.Response(status=404)
    if request.method == "DELETE":
        del store[name]
        return web.Response(status=204)
    return web.Response(body=store[name])


async def refuse(_):
    answer = web.Response(status=413, text="too much")
    answer.force_close()
    return answer


async def refuse_to_expect(request):
    if request.path.startswith("/refuse"):
        return await refuse(request)
    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


async def hang(_):
    await asyncio.sleep(3600)


async def close(_):
    answer = web.Response(text="bye")
    answer.force_close()
    return answer


def by_hand(said, reset=False):
    async def handler(request):
        transport = request.transport
        transport.write(said)
        if reset:
            await asyncio.sleep(0.05)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await asyncio.sleep(3600)  # ended with the connection
    return handler


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"
ROUTES = {
    "/anything{rest:.*}": anything, "/status/{arg}": status, "/redirect/{arg}": redirect, "/redirect-to": redirect_to,
    "/cookies": cookies, "/cookies/set": set_cookies, "/gzip": coded("gzip", "squeezed.gz"),
    "/deflate": coded("deflate", "squeezed.zz"), "/br": coded("br", "squeezed.br"), "/chunked": chunked, "/drip": drip,
    "/bytes/{arg}": some_bytes, "/basic": guarded("Basic dXM6cGE=", 'Basic realm="peers"'),
    "/bearer": guarded("Bearer token", "Bearer"), "/hang": hang, "/close": close, "/silence": by_hand(b""),
    "/cut": by_hand(HALF), "/reset": by_hand(HALF, True),
    "/cut/chunked": by_hand(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    "/leave": by_hand(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye"),  # looks kept, and is not
}


async def main():
    app = web.Application(client_max_size=1 << 30)
    for path, handler in ROUTES.items():
        app.router.add_route("*", path, handler)
    for path, handler in (("/store/{arg}", keep), ("/refuse", refuse)):
        app.router.add_route("*", path, handler, expect_handler=refuse_to_expect)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    print(*(address[1] for address in runner.addresses), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
