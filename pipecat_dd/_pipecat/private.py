"""What is used of Pipecat without being public: the whole list."""

PRIVATE: dict[str, str] = {
    "BaseObject._run_handler": "what a handler of an event raises; Pipecat only logs it",
    "BaseObject._call_event_handler": "when a transport's event is dispatched",
    "BaseObject._event_handlers": "whether an event has handlers, and which events there are",
    "<input and output processors>._client": "the way to the transport where there is no "
    "`_transport`: the callbacks, or listeners, that the client calls are the transport's",
    "DailyTransport._client._joined_event": "whether the bot is in the room already, and with "
    "whom, where the observer is added late",
    "LiveKitTransport._client.room": "a participant's name and attributes",
    "<websocket transports>._params.serializer._call_sid": "the call's id at Twilio, Telnyx "
    "(_call_control_id), Plivo (_call_id) and Exotel, or its stream's (_stream_sid, _stream_id)",
    "WorkerObserver._proxies, FrameProcessor._setup": "the observer's own queue, so that what "
    "is heard in the processors is not queued as well",
    "FrameProcessor._enable_direct_mode": "whether a processor runs in its pusher's task",
    "AIService._settings": "a service's model and voice, before the public `settings` (1.9)",
    "BaseInputTransport._transport": "the transport's class, for a tag",
    "<websocket services>._websocket": "whether a service is reached over a websocket",
    "PipelineWorker._conversation_id": "the worker's conversation id, for a tag",
    "LLMUserAggregator._params": "the classes of the voice activity detector and of the "
    "strategy that ends the user's turn, for resources",
    "VADProcessor._vad_controller": "the same, where the detector is a processor of its own",
    "BaseInputTransport._params": "the same, where the detector is the transport's (1.0)",
}
"""What is used here without being public, and what it is used for."""
