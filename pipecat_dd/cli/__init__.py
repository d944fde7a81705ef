"""The command ``pipecat-dd``. A bot never imports anything from here."""
