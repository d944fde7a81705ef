"""``pipecat-dd setup``: create a dashboard, monitors and more in a Datadog organisation.

The definitions are plain functions that return what Datadog's API accepts. The command compares
them with what exists in the organisation, and changes only what differs. Everything that it creates
has a mark. The command finds its objects by this mark, and never changes or deletes anything else.
"""
