"""``python -m pipecat_dd.cli`` is the command ``pipecat-dd``."""

from pipecat_dd.cli.main import main

if __name__ == "__main__":
    main(prog_name="pipecat-dd")
