"""What ddtrace offers, by the names it has here."""

from ddtrace import trace as _trace

Context = _trace.Context
Span = _trace.Span
tracer = _trace.tracer

Active = Span | Context
"""What ddtrace may have active: a span, or the context of one that is not here."""
