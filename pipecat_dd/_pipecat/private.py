"""Lists the private names of Pipecat that are used."""

from pipecat.utils.base_object import BaseObject

from pipecat_dd._private import peek

RUN_HANDLER = "_run_handler"
"""The method that runs one handler of an event."""

CALL_EVENT_HANDLER = "_call_event_handler"
"""The method that dispatches an event to all its handlers."""

PRIVATE: dict[str, str] = {
    "BaseObject._run_handler": "what an event handler raises, which Pipecat only logs",
    "BaseObject._call_event_handler": "when a transport dispatches an event, and thereby who joins "
    "and leaves",
    "BaseObject._event_handlers": "whether an event has handlers, which events there are, and "
    "which flow managers a worker has",
    "WebsocketService._connect_websocket": "when a service begins to connect",
    "WebsocketService._disconnecting": "whether a service closes its connection on purpose",
    "WebsocketService._reconnect_in_progress": "whether a service makes its connection anew since "
    "it has lost it",
    "STTService._stt_ttfb_timeout": "how long a transcriber's time to first byte may still come",
    "STTService._reconnecting": "whether it does so since its settings have changed",
    "UserTurnCompletionLLMServiceMixin._user_turn_completion_config": "the markers by which a "
    "model rules that the user has not finished",
    "WorkerObserver._proxies": "the observer's own queue, so that events of patched processors "
    "are not queued as well, and the tasks of a worker's observers, whose lines are the session's",
    "WorkerObserver._observers": "whether a worker of the conversation is observed",
    "PipelineWorker._observer": "the same",
    "WorkerRunner._entries": "the conversation's other workers",
    "PipelineWorker._cancelled": "whether a worker was cancelled before its pipeline started, "
    "or while it waited for the pipeline's end",
    "PipelineWorker._idle_timeout_detected": "when a worker cancels an idle pipeline",
    "PipelineWorker._cancel_on_idle_timeout": "the same",
    "PipelineWorker._processor_unusable_policy": "whether a service that has become unusable ends "
    "the pipeline",
    "PipelineSink._downstream_push_frame": "the worker of a pipeline, before 1.3",
    "FlowManager._llm": "which flow is an LLM service's, if a worker has several",
    "FrameProcessor._setup": "the proxy of a worker's observers, from a processor",
    "FrameProcessor._observer": "the same, before 1.8",
    "FrameProcessor._enable_direct_mode": "whether a processor runs in its pusher's task",
    "PipelineWorker._conversation_id": "the worker's conversation id, for a tag",
    "PipelineWorker._enable_tracing": "whether Pipecat's own tracing is on, for a log line",
    "AIService._settings": "a service's model and voice, before the public `settings` (1.12)",
    "BaseOpenAILLMService._client": "the SDK's client, whose answer reports the tokens that an "
    "inference used; likewise for the other services",
    "AnthropicLLMService._client": "the same",
    "GoogleLLMService._client": "the same",
    "AWSBedrockLLMService._aws_session": "the same, from events of botocore's session",
    "LangchainProcessor._chain": "the name of a chain's model",
    "LLMService._skip_tts": "whether a model's text is meant to be read and not spoken",
    "RunnableGenerator._transform": "the name of a chain's model, if the user's function calls it",
    "RunnableGenerator._atransform": "the same",
    "TTSService._text_aggregation_mode": "whether the service gets sentences or tokens to speak",
    "WebsocketService._websocket": "whether a service that is not a WebsocketService nevertheless "
    "uses a websocket",
    "LLMUserAggregator._params": "the classes of the voice activity detector and of the "
    "strategy that ends the user's turn, for resources",
    "LLMUserAggregator._vad_controller": "the voice activity detector, if it was passed alone",
    "VADProcessor._vad_controller": "the same, if the detector is a processor of its own",
    "VADController._vad_analyzer": "the same",
    "BaseInputTransport._params": "the same, if the detector is the transport's (1.0); and whether "
    "it takes audio in",
    "DailyInputTransport._transport": "the transport, from its input or output; likewise for "
    "LiveKit and websockets",
    "SmallWebRTCInputTransport._client": "the transport, if there is no `_transport`: the client "
    "calls back into it",
    "SmallWebRTCClient._callbacks": "the same",
    "TavusTransportClient._callbacks": "the same",
    "VonageClient._listeners": "the same, for Vonage",
    "SmallWebRTCTransport._client": "whether a peer is connected already, if the observer is "
    "added late",
    "SmallWebRTCClient._webrtc_connection": "the same, and whose lines are the session's",
    "SmallWebRTCClient._params": "the same",
    "FastAPIWebsocketTransport._client": "the same, and the websocket",
    "FastAPIWebsocketTransport._input": "the same",
    "FastAPIWebsocketClient._websocket": "the same, and whether ddtrace traces its messages",
    "FastAPIWebsocketInputTransport._receive_task": "the same",
    "SingleClientWebsocketServerTransport._input": "the same",
    "SingleClientWebsocketServerInputTransport._websocket": "the same",
    "SingleClientWebsocketServerOutputTransport._websocket": "the socket, and so what the peer has "
    "not acknowledged of the bot's audio",
    "FastAPIWebsocketOutputTransport._client": "the same",
    "WebSocket._receive": "the same, behind FastAPI and uvicorn",
    "FastAPIWebsocketTransport._params": "the serializer, and so the call's id",
    "TwilioFrameSerializer._call_sid": "the call's id",
    "TwilioFrameSerializer._stream_sid": "the stream's id, if the call's is unknown",
    "TelnyxFrameSerializer._call_control_id": "the call's id",
    "TelnyxFrameSerializer._stream_id": "the stream's id",
    "PlivoFrameSerializer._call_id": "the call's id",
    "PlivoFrameSerializer._stream_id": "the stream's id",
    "ExotelFrameSerializer._call_sid": "the call's id",
    "ExotelFrameSerializer._stream_sid": "the stream's id",
    "utils._pipecat_parsed_telephony": "the caller's number, from the first message of a call's "
    "websocket, as Pipecat has parsed it",
    "DailyTransport._client": "whether the bot is in the room already, and with whom, if the "
    "observer is added late",
    "DailyTransportClient._joined_event": "the same",
    "LiveKitTransport._client": "a participant's name and attributes",
}
"""The private names that are used, and their use."""

_MISSED = {
    RUN_HANDLER: "errors in event handlers are not recorded",
    CALL_EVENT_HANDLER: "events of transports are not recorded, so participants are known only "
    "from frames",
}
"""What is not recorded if one of the methods that matter most is missing."""


def moved() -> list[str]:
    """Return what is not recorded because the installed Pipecat lacks a method of ours."""
    return [missed for name, missed in _MISSED.items() if peek(BaseObject, name) is None]
