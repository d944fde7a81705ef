"""Every name that Datadog gets from here, once: spans, their tags, metrics, fields of lines.

A name is a constant that the code which sends it uses, stated together with its meaning and its
unit. ``docs/spans.md``, ``docs/metrics.md`` and ``docs/logs.md`` say the same as these tables, and
tests hold what is sent against them: what stands here is what dashboards may rely on.

The package imports nothing else of this project, so that everything else can import it.
"""
