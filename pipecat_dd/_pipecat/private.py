"""What is used of Pipecat without being public: the whole list."""

from pipecat.utils.base_object import BaseObject

from pipecat_dd._private import peek

RUN_HANDLER = "_run_handler"
"""The method that runs one handler of an event."""

CALL_EVENT_HANDLER = "_call_event_handler"
"""The method that tells all handlers of an event."""

PRIVATE: dict[str, str] = {
    "BaseObject._run_handler": "what a handler of an event raises; Pipecat only logs it",
    "BaseObject._call_event_handler": "when a transport's event is dispatched, and so who comes "
    "and goes",
    "BaseObject._event_handlers": "whether an event has handlers, and which events there are",
    "WorkerObserver._proxies": "the observer's own queue, so that what is heard in the "
    "processors is not queued as well",
    "WorkerObserver._observers": "whether a worker of the conversation is observed",
    "PipelineWorker._observer": "the same",
    "WorkerRunner._entries": "the conversation's other workers",
    "PipelineWorker._cancelled": "whether a worker was cancelled before its pipeline started, "
    "or as it waited for its end",
    "PipelineWorker._idle_timeout_detected": "when a worker cancels its pipeline since nobody "
    "spoke",
    "PipelineWorker._cancel_on_idle_timeout": "the same",
    "PipelineWorker._processor_unusable_policy": "whether a service that can no longer do its "
    "job ends the pipeline",
    "PipelineSink._downstream_push_frame": "the worker of a pipeline, before 1.3",
    "FrameProcessor._setup": "the way there from a processor",
    "FrameProcessor._observer": "the same, before 1.8",
    "FrameProcessor._enable_direct_mode": "whether a processor runs in its pusher's task",
    "PipelineWorker._conversation_id": "the worker's conversation id, for a tag",
    "PipelineWorker._enable_tracing": "whether Pipecat's own tracing runs beside us, to say so",
    "AIService._settings": "a service's model and voice, before the public `settings` (1.12)",
    "BaseOpenAILLMService._client": "the SDK's client, whose answer says what an inference used; "
    "likewise with the others",
    "AnthropicLLMService._client": "the same",
    "GoogleLLMService._client": "the same",
    "AWSBedrockLLMService._aws_session": "the same, where botocore's session tells",
    "LangchainProcessor._chain": "the model that a chain asks, for its name",
    "LLMService._skip_tts": "whether a model's text is only to be read",
    "RunnableGenerator._transform": "the same, where a function of the user's asks it",
    "RunnableGenerator._atransform": "the same",
    "TTSService._text_aggregation_mode": "whether it is given sentences or tokens to speak",
    "WebsocketService._websocket": "whether a service that is no WebsocketService is reached "
    "over a websocket all the same",
    "LLMUserAggregator._params": "the classes of the voice activity detector and of the "
    "strategy that ends the user's turn, for resources",
    "LLMUserAggregator._vad_controller": "the voice activity detector, where it was given alone",
    "VADProcessor._vad_controller": "the same, where the detector is a processor of its own",
    "VADController._vad_analyzer": "the same",
    "BaseInputTransport._params": "the same, where the detector is the transport's (1.0)",
    "DailyInputTransport._transport": "the transport, from its input or output; likewise with "
    "LiveKit and the websockets",
    "SmallWebRTCInputTransport._client": "the way to the transport where there is no "
    "`_transport`: the client calls back into it",
    "SmallWebRTCClient._callbacks": "the same",
    "TavusTransportClient._callbacks": "the same",
    "VonageClient._listeners": "the same, at Vonage's",
    "SmallWebRTCTransport._client": "whether somebody is connected already, where the observer "
    "is added late",
    "SmallWebRTCClient._webrtc_connection": "the same",
    "SmallWebRTCClient._params": "the same",
    "FastAPIWebsocketTransport._client": "the same, and the websocket",
    "FastAPIWebsocketTransport._input": "the same",
    "FastAPIWebsocketClient._websocket": "the same, and whether ddtrace traces its messages",
    "FastAPIWebsocketInputTransport._receive_task": "the same",
    "SingleClientWebsocketServerTransport._input": "the same",
    "SingleClientWebsocketServerInputTransport._websocket": "the same",
    "FastAPIWebsocketTransport._params": "the serializer, and so the call's id",
    "TwilioFrameSerializer._call_sid": "the call's id",
    "TwilioFrameSerializer._stream_sid": "its stream's, where the call's is not known",
    "TelnyxFrameSerializer._call_control_id": "the call's id",
    "TelnyxFrameSerializer._stream_id": "its stream's",
    "PlivoFrameSerializer._call_id": "the call's id",
    "PlivoFrameSerializer._stream_id": "its stream's",
    "ExotelFrameSerializer._call_sid": "the call's id",
    "ExotelFrameSerializer._stream_sid": "its stream's",
    "utils._pipecat_parsed_telephony": "the caller's number, from what Pipecat has parsed of the "
    "first message of a call's websocket",
    "DailyTransport._client": "whether the bot is in the room already, and with whom, where "
    "the observer is added late",
    "DailyTransportClient._joined_event": "the same",
    "LiveKitTransport._client": "a participant's name and attributes",
}
"""What is used here without being public, and what it is used for."""

_MISSED = {
    RUN_HANDLER: "errors in event handlers are not seen",
    CALL_EVENT_HANDLER: "events of transports are not seen, so participants are known by frames",
}
"""What is not seen without those that everything else of their kind depends on."""


def moved() -> list[str]:
    """Return what is not seen because the installed Pipecat has moved what tells us of it."""
    return [missed for name, missed in _MISSED.items() if peek(BaseObject, name) is None]
