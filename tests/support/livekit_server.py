"""LiveKit's server, with a room and one participant in it beside the bot.

LiveKit's own server is a Go program that no registry of Python's, Debian's or npm's has. This one
speaks as much of its signalling protocol (protobuf over a websocket, with a connection to publish
and one to subscribe) as LiveKit's client SDK uses, and its media over WebRTC. The SDK, which is
Rust and libwebrtc, connects to it unchanged. libwebrtc has no candidates on loopback: the peers
meet on another address of this machine (`has_address`).

Example::

    async with LiveKitServer() as server:
        ...  # start a bot with LIVEKIT_URL=server.url
        maria = await server.joins("maria", "Maria")
        await maria.listens()  # to the greeting
        await maria.says(pcm)
        await maria.leaves()
"""

import asyncio
import json
from typing import Any, Self

import aioice.ice
import jwt
from aiohttp import WSMsgType, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc

from tests.support.server import LOOPBACK
from tests.support.talking import PATIENCE_SECS, Caller, Ear

API_KEY = "devkey"
API_SECRET = "a secret of LiveKit's, for development"


def has_address() -> bool:
    """Return whether this machine has an address that libwebrtc can use."""
    return bool(aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False))


class Participant(Caller):
    """Somebody in the room.

    Args:
        server: The server.
        info: What the others see of the participant.
    """

    def __init__(self, server: "LiveKitServer", info: models.ParticipantInfo) -> None:
        super().__init__(server.ear)
        self._server = server
        self._info = info

    async def leaves(self) -> None:
        """Leave the room."""
        self._info.state = models.ParticipantInfo.DISCONNECTED
        await self._server.update(self._info)


class LiveKitServer:
    """The server; listens on a free port for as long as its ``async with`` block.

    Attributes:
        url: The value for ``LIVEKIT_URL``.
        ear: Hears the bot.
        bot_has_left: Set when the bot has left the room.
    """

    def __init__(self) -> None:
        self.url = ""
        self.ear = Ear()
        self.bot_has_left = asyncio.Event()
        self._client: asyncio.Future[web.WebSocketResponse] = (
            asyncio.get_running_loop().create_future()
        )
        self._is_published = asyncio.Event()
        # aiortc would ask a public STUN server.
        configuration = RTCConfiguration(iceServers=[])
        self._of_bot = RTCPeerConnection(configuration)
        self._to_bot = RTCPeerConnection(configuration)
        self._of_bot.on("track", self._hear)
        self._hearing: asyncio.Task[None] | None = None
        self._early: list[rtc.TrickleRequest] = []
        app = web.Application()
        # Not /rtc/v1, the way with one connection: the SDK takes this one then.
        app.add_routes([web.get("/rtc", self._serve)])
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        self.url = f"ws://{LOOPBACK}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
        await self._of_bot.close()
        await self._to_bot.close()
        await self._runner.cleanup()

    async def joins(self, identity: str, name: str) -> Participant:
        """Have somebody join, as soon as the bot is in the room and has published its voice.

        Args:
            identity: LiveKit's id of the participant.
            name: The name that is shown.
        """
        await asyncio.wait_for(self._is_published.wait(), PATIENCE_SECS)
        track = models.TrackInfo(
            sid=f"TR_{identity}",
            type=models.AUDIO,
            source=models.MICROPHONE,
            name="microphone",
            mime_type="audio/opus",
        )
        info = models.ParticipantInfo(
            sid=f"PA_{identity}",
            identity=identity,
            name=name,
            state=models.ParticipantInfo.ACTIVE,
            tracks=[track],
            is_publisher=True,
        )
        participant = Participant(self, info)
        await self.update(info)
        sender = self._to_bot.addTrack(participant.microphone)
        sender._stream_id = f"{info.sid}|{track.sid}"  # by this the SDK knows whose it is
        await self._to_bot.setLocalDescription(await self._to_bot.createOffer())
        await self._send(offer=_description(self._to_bot.localDescription))
        return participant

    async def update(self, info: models.ParticipantInfo) -> None:
        """Tell the bot about a participant."""
        await self._send(update=rtc.ParticipantUpdate(participants=[info]))

    async def _send(self, **message: Any) -> None:
        client = await self._client
        if not client.closed:
            await client.send_bytes(rtc.SignalResponse(**message).SerializeToString())

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = request.query.get("access_token", token)
        claims = jwt.decode(token, API_SECRET, algorithms=["HS256"])
        client = web.WebSocketResponse()
        await client.prepare(request)
        self._client.set_result(client)
        await self._send(join=_join(claims["sub"], claims["video"]["room"]))
        try:
            async for message in client:
                if message.type is WSMsgType.BINARY:
                    await self._take(rtc.SignalRequest.FromString(message.data))
        finally:
            self.bot_has_left.set()
        return client

    async def _take(self, request: rtc.SignalRequest) -> None:
        kind = request.WhichOneof("message")
        if kind == "offer":
            offer = RTCSessionDescription(request.offer.sdp, "offer")
            await self._of_bot.setRemoteDescription(offer)
            await self._add_early_candidates()
            await self._of_bot.setLocalDescription(await self._of_bot.createAnswer())
            answer = _description(self._of_bot.localDescription)
            answer.id = request.offer.id
            await self._send(answer=answer)
        elif kind == "answer":
            answer = RTCSessionDescription(request.answer.sdp, "answer")
            await self._to_bot.setRemoteDescription(answer)
            await self._add_early_candidates()
        elif kind == "trickle":
            await self._add_candidate(request.trickle)
        elif kind == "add_track":
            added = request.add_track
            track = models.TrackInfo(
                sid="TR_bot", type=added.type, source=added.source, name=added.name
            )
            await self._send(track_published=rtc.TrackPublishedResponse(cid=added.cid, track=track))
        elif kind == "ping_req":
            sent_at = request.ping_req.timestamp
            await self._send(pong_resp=rtc.Pong(last_ping_timestamp=sent_at, timestamp=sent_at))
        elif kind == "ping":
            await self._send(pong=request.ping)

    async def _add_early_candidates(self) -> None:
        early, self._early = self._early, []
        for trickle in early:
            await self._add_candidate(trickle)

    async def _add_candidate(self, trickle: rtc.TrickleRequest) -> None:
        init = json.loads(trickle.candidateInit)
        if not init.get("candidate"):
            return
        connection = self._of_bot if trickle.target == rtc.PUBLISHER else self._to_bot
        if connection.remoteDescription is None:
            self._early.append(trickle)
            return
        candidate = candidate_from_sdp(init["candidate"].removeprefix("candidate:"))
        candidate.sdpMid = init["sdpMid"]
        candidate.sdpMLineIndex = init["sdpMLineIndex"]
        await connection.addIceCandidate(candidate)

    def _hear(self, track: Any) -> None:
        self._hearing = asyncio.create_task(self.ear.hear_track(track))
        self._is_published.set()


def _join(identity: str, room: str) -> rtc.JoinResponse:
    permission = models.ParticipantPermission(
        can_subscribe=True, can_publish=True, can_publish_data=True
    )
    return rtc.JoinResponse(
        room=models.Room(sid="RM_room", name=room),
        participant=models.ParticipantInfo(
            sid="PA_bot",
            identity=identity,
            name=identity,
            state=models.ParticipantInfo.JOINED,
            permission=permission,
        ),
        server_version="1.8.0",
        server_info=models.ServerInfo(version="1.8.0", protocol=15),
        subscriber_primary=False,
        ping_timeout=15,
        ping_interval=5,
    )


def _description(description: RTCSessionDescription) -> rtc.SessionDescription:
    return rtc.SessionDescription(type=description.type, sdp=description.sdp)
