"""Whether a body is what Datadog's API takes, by the models that ``datadog-api-client`` has of it.

The models are made from the schema that Datadog publishes. By themselves they let through what
they do not know, a newer server's values say; here that is a mistake.
"""

from collections.abc import Iterator
from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.exceptions import OpenApiException
from datadog_api_client.model_utils import (
    ModelComposed,
    ModelNormal,
    OpenApiModel,
    UnparsedObject,
    validate_and_convert_types,
)

_CONFIGURATION = Configuration(spec_property_naming=True)


def mistakes(body: Any, model: type) -> list[str]:
    """Return what is wrong with a body, as sentences.

    Args:
        body: The body, as JSON.
        model: The client's model of it.
    """
    try:
        parsed = validate_and_convert_types(
            body, (model,), ["body"], True, True, configuration=_CONFIGURATION
        )
    except (OpenApiException, TypeError, ValueError) as error:
        return [f"{model.__name__}: {error}"]
    return list(_within(parsed, model.__name__))


def _within(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _within(one, f"{path}[{number}]")
    elif isinstance(value, UnparsedObject):
        yield f"{path}: {str(value)[:200]} is none of what may stand here"
    elif isinstance(value, ModelComposed):
        for one in value._composed_instances:
            yield from _within(one, path)
    elif isinstance(value, ModelNormal):
        for name, below in value._data_store.items():
            if name not in value.openapi_types and not _is_open(type(value)):
                yield f"{path}.{name}: there is no such field"
            yield from _within(below, f"{path}.{name}")
    elif isinstance(value, OpenApiModel) and value._unparsed:
        yield f"{path}: {value} is not allowed"


def _is_open(model: type) -> bool:
    """Whether the schema says that a model may have fields that it does not name."""
    return "additional_properties_type" in vars(model)
