"""A second service, in a process of its own, that ddtrace traces.

``python -m tests.support.other_service`` writes its URL to standard output and serves until
its standard input is closed.
"""

import asyncio
import sys

import ddtrace
from aiohttp import web

ddtrace.patch(raise_errors=True, aiohttp=True)

from ddtrace.contrib.aiohttp import trace_app  # noqa: E402
from ddtrace.trace import tracer  # noqa: E402

from tests.support.server import serving_app  # noqa: E402


async def weather(request: web.Request) -> web.Response:
    """Answer with the headers that came."""
    with tracer.trace("weather.look_out_of_the_window"):
        headers = {name.lower(): value for name, value in request.headers.items()}
    return web.json_response({"sky": "blue", "headers": headers})


async def main() -> None:
    """Serve until standard input is closed."""
    app = web.Application()
    app.add_routes([web.get("/weather", weather)])
    trace_app(app, tracer, service="weather")
    async with serving_app(app) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
