"""``python -m mtlbench``: the command line, as the pipeline starts it."""

from mtlbench.cli import main

if __name__ == "__main__":
    main()
