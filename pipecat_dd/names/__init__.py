"""Every name that we send to Datadog, once: spans, their tags, metrics, fields of lines.

Each name is a constant with its meaning and unit, and the code that sends it uses the constant.
``docs/spans.md`` and ``docs/metrics.md`` are written from these tables, and ``docs/logs.md`` agrees
with them. Tests compare what is sent with them: dashboards may rely on these names.

The package imports nothing else of this project, so that everything else can import it.
"""
