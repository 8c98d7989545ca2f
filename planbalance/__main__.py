"""`python -m planbalance`: the same program where the entry point is not on the PATH."""

from planbalance.cli import main

if __name__ == "__main__":
    main()
