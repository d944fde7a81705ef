"""Defines this package's names for ddtrace's public classes."""

from ddtrace import trace as _trace

Context = _trace.Context
Span = _trace.Span
tracer = _trace.tracer

Active = Span | Context
"""What can be active in ddtrace: a span, or the context of one elsewhere."""
