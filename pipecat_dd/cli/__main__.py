"""Run the command ``pipecat-dd`` as ``python -m pipecat_dd.cli``."""

from pipecat_dd.cli.main import main

if __name__ == "__main__":
    main(prog_name="pipecat-dd")
