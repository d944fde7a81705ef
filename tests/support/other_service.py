"""A second service, in a process of its own, that ddtrace traces.

``python -m tests.support.other_service`` writes its port to standard output and serves until
its standard input is closed.
"""

import asyncio
import sys

import ddtrace
from aiohttp import web

ddtrace.patch(raise_errors=True, aiohttp=True)

from ddtrace.contrib.aiohttp import trace_app  # noqa: E402
from ddtrace.trace import tracer  # noqa: E402


async def weather(request: web.Request) -> web.Response:
    """Answer with the headers that came."""
    with tracer.trace("weather.look_out_of_the_window"):
        headers = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response({"sky": "blue", "headers": headers})


async def main() -> None:
    """Serve on a free port until standard input is closed."""
    app = web.Application()
    app.add_routes([web.get("/weather", weather)])
    trace_app(app, tracer, service="weather")
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
